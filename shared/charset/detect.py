"""What charset a text is in, by its bytes alone."""

import re
from collections.abc import Iterator
from typing import Final

from shared.charset.names import resolve

_NOT_ASCII: Final = re.compile(rb"[\x80-\xff]")
_PAIRS: Final = re.compile(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]")
# GB 2312's rows of symbols and of the 3,755 hanzi in daily use.
_DAILY_HANZI: Final = re.compile(rb"[\xa1-\xa3\xb0-\xd7][\xa1-\xfe]")
# Right when the detector finds them, and like GB 2312 in their bytes.
_TRUSTED: Final = ("gb", "euc", "uhc", "shift", "iso-2022", "koi8")
_SAMPLE_BYTES: Final = 2**20
_SHORT_BYTES: Final = 2**16
_UTF16_SAMPLE: Final = 2**12
_UTF16_ZEROS: Final = 0.5


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


def guesses(data: bytes) -> Iterator[str]:
    """What two detectors think of the part that is not ASCII, the likelier first.

    Short Chinese misleads the first; the second is slow, and only asked if the first is not believed.
    """
    import cchardet

    sample = data[first_beyond_ascii(data) :][:_SAMPLE_BYTES]
    detected: str = cchardet.detect(sample)["encoding"] or ""
    if not detected.lower().startswith(_TRUSTED) and _looks_simplified_chinese(sample):
        yield "gb18030"
    if name := resolve(detected):
        yield name

    from charset_normalizer import from_bytes

    best = from_bytes(sample[:_SHORT_BYTES]).best()
    if name := resolve(best.encoding if best else None):
        yield name


def first_beyond_ascii(data: bytes) -> int:
    """Where the first byte is that is not ASCII; 0 if there is none."""
    found = _NOT_ASCII.search(data)
    return found.start() if found else 0


def _looks_simplified_chinese(sample: bytes) -> bool:
    """Nearly all bytes that are not ASCII pair up to hanzi of daily use."""
    sample = sample[:_SHORT_BYTES]
    pairs = _PAIRS.findall(sample)
    daily = sum(1 for pair in pairs if _DAILY_HANZI.fullmatch(pair))
    return 2 * daily >= 0.9 * len(_NOT_ASCII.findall(sample))
