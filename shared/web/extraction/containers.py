"""The elements around the pieces of a page, and sums over what they hold."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from shared.web.extraction.piece import Piece
from shared.web.extraction.place import KINDS, Place

Numbers = NDArray[np.float64]
_Indices = NDArray[np.intp]

_COLUMN = {kind: column for column, kind in enumerate(KINDS)}


class Containers:
    """All elements with text in them, as a tree in arrays: `of` is the one that each piece stands in."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._places = sorted(set(_around(pieces)), key=lambda place: place.depth)
        index = {place: number for number, place in enumerate(self._places)}
        self.of: _Indices = np.array([index[piece.place] for piece in pieces], dtype=np.intp)
        self._parent: _Indices = np.array(
            [index[place.parent] if place.parent else -1 for place in self._places], dtype=np.intp
        )
        depths = np.array([place.depth for place in self._places])
        self._levels = [np.flatnonzero(depths == depth) for depth in range(int(depths.max(initial=0)), 0, -1)]

    def sums(self, values: Numbers) -> Numbers:
        """For each element, the sum of a value over all pieces inside."""
        sums: Numbers = np.bincount(self.of, values, len(self._places)).astype(np.float64)
        for level in self._levels:
            np.add.at(sums, self._parent[level], sums[level])
        return sums

    def above(self, steps: int) -> Iterator[_Indices]:
        """For each piece the element it stands in, then the one around that, and so on; -1 is none."""
        places = self.of
        for _ in range(steps):
            yield places
            places = np.where(places >= 0, self._parent[places], -1)

    def flags(self, words: Numbers) -> Numbers:
        """For each piece and each of `KINDS`, whether something around the piece is of that kind."""
        shares = self.sums(words) / max(float(words.sum()), 1.0)
        kinds: list[frozenset[str]] = []
        flags = np.zeros((len(self._places), len(KINDS)))
        for number, place in enumerate(self._places):
            parent = self._parent[number]
            kinds.append(place.kinds(kinds[parent] if parent >= 0 else frozenset(), float(shares[number])))
            flags[number, [_COLUMN[kind] for kind in kinds[number]]] = 1
        return flags[self.of]


def _around(pieces: Sequence[Piece]) -> Iterator[Place]:
    seen: set[Place] = set()
    for piece in pieces:
        place: Place | None = piece.place
        while place is not None and place not in seen:
            seen.add(place)
            yield place
            place = place.parent
