"""From bytes to text: what is said of their charset, tested against the bytes.

Labels lie often enough to be tested: a strict decode of a charset of several bytes rarely succeeds by
accident, while that of a charset of single bytes always does and proves nothing.
"""

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

from shared.charset.detect import first_beyond_ascii, guesses, unmarked_utf16
from shared.charset.names import is_single_byte, is_telling, is_wide, resolve

# What may be unreadable of a text, from its first character beyond ASCII on, when it is read by a guess.
_REPLACED_LIMIT: Final = 0.01

# The last resort of browsers for the West, where every byte is a character.
_LAST_RESORT: Final = "cp1252"

# What servers say of everything.
_HABITS: Final = ("cp1252", "iso8859-1", "iso8859-15")

# Characters from here on take three bytes or more in UTF-8.
_THREE_BYTES: Final = "\u0800"

# Where markup says its charset, and where zeros show that a text is as wide as its label says.
_HEAD: Final = 8_192


@dataclass(frozen=True)
class Decoded:
    """Text, and the Python name of the charset that it was read with.

    Unless it `fits`, no charset does, and much of the text may be unreadable.
    """

    text: str
    charset: str
    fits: bool = True


def decode(data: bytes, label: str | None = None, *, markup: bool = False, cut: bool = False) -> Decoded:
    """Read text by the first that fits: byte order mark, label, UTF-8, detectors, any label.

    Args:
        data: The bytes.
        label: The charset that came with them, as of a `Content-Type`.
        markup: Whether it may say its charset itself, in a `<meta>`.
        cut: Whether it is the beginning of more, and may end inside a character.
    """
    from w3lib.encoding import read_bom

    charset, mark = read_bom(data)
    if charset is not None and mark is not None:
        return _as_marked(data[len(mark) :], charset, cut=cut)
    labels = list(_labels(data, label, markup=markup))
    for name in _testable(data, labels):
        if (text := _strictly(data, name, cut=cut)) is not None:
            return _unless_utf8(data, Decoded(text, name), cut=cut)
    return _guessed(data, labels, cut=cut)


def _as_marked(data: bytes, charset: str, *, cut: bool) -> Decoded:
    if (text := _strictly(data, charset, cut=cut)) is not None:
        return Decoded(text, charset)
    return Decoded(data.decode(charset, errors="replace"), charset, fits=False)


def _labels(data: bytes, label: str | None, *, markup: bool) -> Iterator[str]:
    from w3lib.encoding import html_body_declared_encoding

    for said in (label, html_body_declared_encoding(data[:_HEAD]) if markup else None):
        if (name := resolve(said)) is not None:
            yield name


def _testable(data: bytes, labels: Iterable[str]) -> Iterator[str]:
    """What a strict decode proves, the likelier first."""
    for name in labels:
        # Half of all byte strings would pass for UTF-16, but text in it has zeros, and other text has none.
        if is_telling(name) or (is_wide(name) and b"\x00" in data[:_HEAD]):
            yield name
    if (wide := unmarked_utf16(data)) is not None:
        yield wide
    yield "utf-8"


def _unless_utf8(data: bytes, decoded: Decoded, *, cut: bool) -> Decoded:
    """Short UTF-8 text can pass as GBK or Big5, while theirs hardly ever makes valid three-byte UTF-8."""
    if decoded.charset == "utf-8" or is_wide(decoded.charset):
        return decoded
    text = _strictly(data, "utf-8", cut=cut)
    if text is not None and max(text, default="") >= _THREE_BYTES:
        return Decoded(text, "utf-8")
    return decoded


def _guessed(data: bytes, labels: list[str], *, cut: bool) -> Decoded:
    found = list(islice(guesses(data), 1))
    for name in _strict_order(labels, found):
        if (text := _strictly(data, name, cut=cut)) is not None:
            return Decoded(text, name)
    for name in chain(labels, guesses(data)):
        if (text := _leniently(data, name)) is not None:
            return Decoded(text, name)
    name = (*labels, *found, _LAST_RESORT)[0]
    return Decoded(data.decode(name, errors="replace"), name, fits=False)


def _strict_order(labels: list[str], found: list[str]) -> Iterator[str]:
    """Of charsets of single bytes a label knows more than a detector, unless servers say it by habit."""
    single = [name for name in labels if is_single_byte(name)]
    yield from (name for name in single if name not in _HABITS)
    for name in found:
        if is_telling(name) and name != "utf-8":
            # Some Chinese is taken for Japanese, which the strict decode shows.
            yield from (name, "gb18030")
    yield from single


def _strictly(data: bytes, charset: str, *, cut: bool) -> str | None:
    try:
        if not cut:
            return data.decode(charset)
        return codecs.getincrementaldecoder(charset)().decode(data)
    except (UnicodeDecodeError, LookupError):
        return None


def _leniently(data: bytes, charset: str) -> str | None:
    text = data.decode(charset, errors="replace")
    beyond = len(text) - first_beyond_ascii(data)
    return text if text.count("\ufffd") <= _REPLACED_LIMIT * beyond else None
