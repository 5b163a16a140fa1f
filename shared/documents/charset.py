"""Bytes to text: byte order mark, then the declared encoding, then UTF-8, then a guess."""

import codecs
import re
from collections.abc import Iterator
from typing import Final

from shared.documents.document import UnreadableDocumentError

# Python also decodes with codecs that are no character sets of documents (idna, punycode, unicode_escape).
_CHARSETS: Final = re.compile(
    r"utf-?(8|16|32).*|gb18030|big5.*|euc_.*|shift_jis.*|iso.*|cp\d+|koi8.*|mac.*|hz|johab"
)
_SINGLE_BYTE: Final = re.compile(r"iso8859.*|cp(?!932|936|949|950)\d+|koi8.*|mac.*")
_NOT_ASCII: Final = re.compile(rb"[\x80-\xff]")
_PAIRS: Final = re.compile(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]")
# GB 2312's rows of symbols and of the 3,755 hanzi in daily use.
_DAILY_HANZI: Final = re.compile(rb"[\xa1-\xa3\xb0-\xd7][\xa1-\xfe]")
# Right when the detector finds them, and like GB 2312 in their bytes.
_TRUSTED: Final = ("gb", "euc", "uhc", "shift", "iso-2022", "koi8")
_SAMPLE_BYTES: Final = 2**20
_SHORT_BYTES: Final = 2**16
_REPLACED_LIMIT: Final = 0.01
_UTF16_SAMPLE: Final = 2**12
_UTF16_ZEROS: Final = 0.5


def decode(data: bytes, *, media_type: str | None = None, html: bool = False) -> str:
    """Decode a text file.

    A label (the media type's `charset`, or a meta tag when `html`) is taken at its word only if every byte
    agrees; gb2312 and gbk mean gb18030, latin-1 means windows-1252, as in the WHATWG Encoding Standard. A
    single-byte label agrees with anything, so UTF-8 is tried before it. Raises `invalid_file` when nothing
    fits.
    """
    from w3lib.encoding import html_body_declared_encoding, http_content_type_encoding, read_bom

    encoding, bom = read_bom(data)
    if encoding is not None and bom is not None:
        text = _strict(data.removeprefix(bom), encoding)
        if text is None:
            raise _undecodable(f"begins as {encoding.upper()} but is damaged")
        return text
    label = http_content_type_encoding(media_type) or (html_body_declared_encoding(data) if html else None)
    if label and label.startswith(("utf-16", "utf-32")) and b"\x00" not in data:
        label = None  # half of all byte strings would pass; a page that says so in ASCII is none
    label = label or unmarked_utf16(data)
    for candidate in _candidates(label):
        text = _strict(data, candidate)
        if text is not None:
            return text
    return _guess(data)


def encoding_of(sample: bytes, *, media_type: str | None = None) -> str:
    """The name of the encoding by which `decode` would read this sample of a larger file, cut anywhere."""
    from w3lib.encoding import http_content_type_encoding, read_bom

    encoding, _ = read_bom(sample)
    if encoding is not None:
        return encoding
    label = http_content_type_encoding(media_type) or unmarked_utf16(sample)
    for candidate in _candidates(label):
        decoder = codecs.getincrementaldecoder(candidate)()
        try:
            decoder.decode(sample)
        except (UnicodeDecodeError, LookupError):
            continue
        return candidate
    for guess in _guesses(sample[:_SAMPLE_BYTES]):
        if _lenient(sample, guess) is not None:
            return str(resolve(guess))
    raise _undecodable("has an unknown or damaged encoding")


def unmarked_utf16(data: bytes) -> str | None:
    """UTF-16 without a byte order mark, told by the zeros that half of its bytes are in Latin text."""
    sample = data[:_UTF16_SAMPLE]
    half = len(sample) // 2
    for zeros, other, name in (
        (sample[1::2], sample[::2], "utf-16-le"),
        (sample[::2], sample[1::2], "utf-16-be"),
    ):
        if half >= 2 and zeros.count(0) > _UTF16_ZEROS * half and not other.count(0):
            return name
    return None


def _candidates(label: str | None) -> tuple[str, ...]:
    if label is None or not _CHARSETS.fullmatch(label):
        return ("utf-8",)
    return ("utf-8", label) if _SINGLE_BYTE.fullmatch(label) else (label, "utf-8")


def _strict(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None


def _guess(data: bytes) -> str:
    """The first guess with which next to nothing is unreadable, of the part that is not ASCII."""
    first = _NOT_ASCII.search(data)
    sample = data[first.start() if first else 0 :][:_SAMPLE_BYTES]
    for guess in _guesses(sample):
        text = _lenient(data, guess)
        if text is not None:
            return text
    raise _undecodable("has an unknown or damaged encoding")


def _guesses(sample: bytes) -> Iterator[str]:
    """What two detectors think. Short Chinese misleads the first, an ASCII beginning the second."""
    import cchardet

    detected: str = cchardet.detect(sample)["encoding"] or ""
    if not detected.lower().startswith(_TRUSTED) and _looks_simplified_chinese(sample):
        yield "gb18030"
    yield detected

    from charset_normalizer import from_bytes

    best = from_bytes(sample[:_SHORT_BYTES]).best()
    yield best.encoding if best else ""


def _looks_simplified_chinese(sample: bytes) -> bool:
    """Nearly all bytes that are not ASCII pair up to hanzi of daily use."""
    sample = sample[:_SHORT_BYTES]
    pairs = _PAIRS.findall(sample)
    daily = sum(1 for pair in pairs if _DAILY_HANZI.fullmatch(pair))
    return 2 * daily >= 0.9 * len(_NOT_ASCII.findall(sample))


def _lenient(data: bytes, guess: str) -> str | None:
    encoding = resolve(guess)
    if encoding is None:
        return None
    text = data.decode(encoding, errors="replace")
    return text if text.count("\ufffd") <= _REPLACED_LIMIT * len(text) else None


def resolve(label: str) -> str | None:
    """Python's name for the encoding that a label means; None for what is no encoding of documents."""
    from w3lib.encoding import resolve_encoding

    encoding = resolve_encoding(label)
    return encoding if encoding is not None and _CHARSETS.fullmatch(encoding) else None


def _undecodable(what: str) -> UnreadableDocumentError:
    return UnreadableDocumentError(
        "invalid_file", f"The text {what}. Save the file as UTF-8 and upload it again."
    )
