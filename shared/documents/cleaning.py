"""Text without what no reader sees: control characters, soft hyphens, invisible marks, stray white space."""

import re
import unicodedata
from typing import Final

_LINE_BREAKS: Final = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
# Soft hyphens, zero-width spaces and joiners of words, byte order marks, marks that turn the direction of
# reading, non-characters, and the tag characters that hide instructions in plain sight. The joiners U+200C
# and U+200D stay: Persian, Indic scripts and emoji are spelled with them.
_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
_WIDE_SPACES: Final = re.compile("[\u00a0\u2000-\u200a\u202f\u205f\u3000]")
_LINE_ENDS: Final = re.compile(r"(?<![ \t])[ \t]++(?=\n|$)")
_BLANK_LINES: Final = re.compile(r"\n{3,}")
_SPACES: Final = re.compile(r"\s+")


def clean(text: str) -> str:
    """Normalise line breaks, spaces and composed letters; keep indentation and at most one blank line.

    Safe for PostgreSQL (no NUL) and for UTF-8 (no lone surrogate). Doing it twice changes nothing more.
    """
    text = _INVISIBLE.sub("", _LINE_BREAKS.sub("\n", text))
    text = unicodedata.normalize("NFC", _WIDE_SPACES.sub(" ", text))
    return _BLANK_LINES.sub("\n\n", _LINE_ENDS.sub("", text)).strip("\n")


def clean_code(text: str) -> str:
    """As `clean`, but every blank line inside stays."""
    text = _INVISIBLE.sub("", _LINE_BREAKS.sub("\n", text))
    return _LINE_ENDS.sub("", text.replace("\u00a0", " ")).strip("\n")


def clean_line(text: str) -> str:
    """`text` on one line, with single spaces."""
    return _SPACES.sub(" ", clean(text)).strip()
