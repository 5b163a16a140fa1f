"""A page as arrays: its pieces, and the sums and shares over them that columns are made of."""

import re
from collections.abc import Callable, Hashable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.web.extraction.containers import Containers
from shared.web.extraction.piece import Piece

Numbers = NDArray[np.float64]
Column = tuple[str, Numbers]

_SENTENCE_END: Final = re.compile(r"[.!?:;。！？：；…][\"'”’»)\]]*$")

# Shorter than this, a piece that trafilatura takes says little of where the main part begins and ends.
_TELLING_WORDS: Final = 4


class Reading:
    """The pieces of a page, and the sums over them that columns are made of.

    Args:
        taken: The share of each piece's words that stand in trafilatura's text.
        title: The words of the page's title.
    """

    def __init__(self, pieces: Sequence[Piece], taken: Sequence[float], title: Sequence[str]) -> None:
        self.pieces = pieces
        self.title = tuple(title)
        self.words: Numbers = np.array([len(piece.words) for piece in pieces], dtype=np.float64)
        self.link_words: Numbers = np.array([piece.link_words for piece in pieces], dtype=np.float64)
        self.taken: Numbers = np.array(taken, dtype=np.float64)
        self.links: Numbers = np.where(self.words > 0, np.minimum(per(self.link_words, self.words), 1.0), 1.0)
        self.ends = self.each(lambda piece: bool(_SENTENCE_END.search(piece.text)))
        self.headings = self.each(lambda piece: piece.kind == "heading")
        self.total = max(float(self.words.sum()), 1.0)
        self.containers = Containers(pieces)
        self.likes = {"kin": self._alike(_kin), "cousins": self._alike(_cousin)}

    def each(self, measure: Callable[[Piece], float]) -> Numbers:
        return np.array([measure(piece) for piece in self.pieces], dtype=np.float64)

    def taken_span(self) -> tuple[int, int]:
        """The first and the last piece that trafilatura took, of those long enough to tell; else none."""
        telling = np.flatnonzero((self.taken > 0.5) & (self.words >= _TELLING_WORDS))
        return (int(telling[0]), int(telling[-1])) if len(telling) else (len(self.pieces), -1)

    def _alike(self, key: Callable[[Piece], Hashable]) -> NDArray[np.intp]:
        """A number for each piece, the same for those of the same key."""
        numbers: dict[Hashable, int] = {}
        keys = (key(piece) for piece in self.pieces)
        return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.intp)

    def others(self, alike: NDArray[np.intp], values: Numbers) -> Numbers:
        """The sum of a value over the likes of each piece, itself left out."""
        sums: Numbers = np.bincount(alike, values)[alike] - values
        return sums


def _kin(piece: Piece) -> Hashable:
    """Pieces of one kind, in elements of one name, within elements of one name."""
    parent = piece.place.parent
    return piece.kind, piece.level, piece.place.key, parent.key if parent else ""


def _cousin(piece: Piece) -> Hashable:
    return piece.kind, piece.level, piece.place.key


def running(values: Numbers) -> Numbers:
    """Sums of the first 0, 1, 2 ... values."""
    return np.concatenate(([0.0], np.cumsum(values)))


def shifted(values: Numbers, by: int) -> Numbers:
    shifted = np.zeros_like(values)
    if 0 < by < len(values):
        shifted[by:] = values[:-by]
    elif -len(values) < by < 0:
        shifted[:by] = values[-by:]
    return shifted


def per(values: Numbers, counts: Numbers) -> Numbers:
    quotients: Numbers = np.divide(values, counts, out=np.zeros_like(values), where=counts > 0)
    return quotients


def everywhere(page: Reading, value: float) -> Numbers:
    return np.full(len(page.words), value)
