"""The charsets that texts are written in, by Python's names, and what their labels prove.

GB2312 and GBK are read as their superset GB18030, and latin-1 as windows-1252, as browsers do
(https://encoding.spec.whatwg.org/#names-and-labels).
"""

import re
from typing import Final

# Python also decodes with codecs that are no character sets of texts (idna, punycode, unicode_escape).
_KNOWN: Final = re.compile(
    r"utf-?(8|16|32).*|gb18030|big5.*|euc_.*|shift_jis.*|iso.*|cp\d+|koi8.*|mac.*|hz|johab"
)
_SINGLE_BYTE: Final = re.compile(r"iso8859.*|cp(?!932|936|949|950)\d+|koi8.*|mac.*")


def resolve(label: str | None) -> str | None:
    """Python's name for the charset that a label means; None for what is none."""
    from w3lib.encoding import resolve_encoding

    name = resolve_encoding(label) if label else None
    return name if name is not None and _KNOWN.fullmatch(name) else None


def is_single_byte(name: str) -> bool:
    """Whether every byte is a character by itself, so that any text fits."""
    return _SINGLE_BYTE.fullmatch(name) is not None


def is_wide(name: str) -> bool:
    """Whether all characters take two bytes or four (UTF-16, UTF-32), so that nearly any text fits."""
    return name.startswith(("utf-16", "utf_16", "utf-32", "utf_32", "utf16", "utf32"))


def is_telling(name: str) -> bool:
    """Whether bytes hardly ever fit by accident: a charset of several bytes a character."""
    return not is_single_byte(name) and not is_wide(name)
