"""Simhash: 64 bits of a text that change little when the text does (Charikar, STOC 2002).

Pages are near-duplicates when their hashes differ in few bits: 3 of 64 were found right for the web (Manku et
al., WWW 2007).
"""

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

NEAR_DUPLICATE_BITS: Final = 3

_BYTES: Final = 8


def simhash(words: Sequence[str]) -> int | None:
    """The hash of a text by its words, from 0 to 2**64 - 1; `None` for a text without words.

    Made of its runs of three words, so that the order counts; of Chinese and Japanese, of three signs.
    """
    import numpy as np

    if not words:
        return None
    runs = Counter(map("\n".join, zip(words, words[1:], words[2:], strict=False))) or Counter(
        ["\n".join(words)]
    )
    hashes = b"".join([blake2b(run.encode(), digest_size=_BYTES).digest() for run in runs])
    bits = np.unpackbits(np.frombuffer(hashes, dtype=np.uint8).reshape(-1, _BYTES), axis=1)
    ones = np.array(list(runs.values())) @ bits
    return int.from_bytes(np.packbits(2 * ones > runs.total()).tobytes())


def quarters(simhash: int) -> tuple[int, int, int, int]:
    """The hash in four pieces of 16 bits. Near-duplicates have at least one in common."""
    high, upper, lower, low = (simhash >> shift & 0xFFFF for shift in (48, 32, 16, 0))
    return high, upper, lower, low


def hamming(one: int, other: int) -> int:
    """In how many bits two hashes differ."""
    return (one ^ other).bit_count()
