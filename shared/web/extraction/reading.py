"""A page as arrays: its pieces, and the sums and shares over them that columns are made of."""

import re
from collections.abc import Callable, Hashable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.web.extraction.containers import Containers, Numbers
from shared.web.extraction.piece import Piece

Indices = NDArray[np.intp]
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
        self.likes = {
            "kin": Likes([_kin(piece) for piece in pieces]),
            "cousins": Likes([_cousin(piece) for piece in pieces]),
        }

    def each(self, measure: Callable[[Piece], float]) -> Numbers:
        return np.array([measure(piece) for piece in self.pieces], dtype=np.float64)

    def taken_span(self) -> tuple[int, int]:
        """The first and the last piece that trafilatura took, of those long enough to tell; else none."""
        telling = np.flatnonzero((self.taken > 0.5) & (self.words >= _TELLING_WORDS))
        return (int(telling[0]), int(telling[-1])) if len(telling) else (len(self.pieces), -1)


class Likes:
    """Which pieces are alike: those of the same key."""

    def __init__(self, keys: Sequence[Hashable]) -> None:
        numbers: dict[Hashable, int] = {}
        self._of: Indices = np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.intp)
        self._sorted = np.argsort(self._of, kind="stable")
        self._begins = np.searchsorted(self._of[self._sorted], np.arange(len(numbers)))

    def others(self, values: Numbers) -> Numbers:
        """The sum of a value over the likes of each piece, itself left out; of several rows, for each row."""
        sums = np.add.reduceat(values[..., self._sorted], self._begins, axis=-1)
        others: Numbers = sums[..., self._of] - values
        return others


def _kin(piece: Piece) -> Hashable:
    """Pieces of one kind, in elements of one name, within elements of one name."""
    parent = piece.place.parent
    return piece.kind, piece.level, piece.place.key, parent.key if parent else ""


def _cousin(piece: Piece) -> Hashable:
    return piece.kind, piece.level, piece.place.key


class Shifted:
    """A value of the pieces so many places before and after; beyond the ends, 0."""

    def __init__(self, values: Numbers, reach: int) -> None:
        margin = np.zeros(reach)
        self._values = np.concatenate((margin, values, margin))
        self._reach = reach
        self._count = len(values)

    def before(self, distance: int) -> Numbers:
        return self._from(self._reach - distance)

    def after(self, distance: int) -> Numbers:
        return self._from(self._reach + distance)

    def _from(self, begin: int) -> Numbers:
        return self._values[begin : begin + self._count]


def windows(count: int, sizes: Sequence[int]) -> tuple[Indices, Indices]:
    """For each size a row: for each piece where those begin and end that are no farther from it."""
    here, reach = np.arange(count), np.array(sizes)[:, np.newaxis]
    return np.maximum(here - reach, 0), np.minimum(here + reach + 1, count)


def per(values: Numbers, counts: Numbers) -> Numbers:
    quotients: Numbers = np.divide(values, counts, out=np.zeros_like(values), where=counts > 0)
    return quotients


def everywhere(page: Reading, value: float) -> Numbers:
    return np.full(len(page.words), value)
