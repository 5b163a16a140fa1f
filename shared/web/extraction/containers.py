"""The elements around the pieces of a page, and sums over what they hold."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.web.extraction.piece import Piece
from shared.web.extraction.place import ALWAYS, KINDS, Place

Numbers = NDArray[np.float64]
_Indices = NDArray[np.intp]

# An element with more of a page's words is no boilerplate, whatever its name: many sites wrap all in a form,
# or call the body "has-sidebar".
_MOST: Final = 0.6


class Containers:
    """All elements with text in them, as a tree in arrays: `of` is the one that each piece stands in.

    Elements come before those inside them. In reading order the pieces inside an element follow each other,
    so that it is told by its first and its last.
    """

    def __init__(self, pieces: Sequence[Piece]) -> None:
        index: dict[Place, int] = {}
        begins: list[int] = []
        for number, piece in enumerate(pieces):
            for place in _unseen(piece.place, index):
                index[place] = len(begins)
                begins.append(number)
        of = [index[piece.place] for piece in pieces]
        self._own = [place.own for place in index]
        self._parents = [index[place.parent] if place.parent else -1 for place in index]
        self._begins: _Indices = np.array(begins, dtype=np.intp)
        self._ends: _Indices = np.array(_ends(of, self._parents), dtype=np.intp)
        self.of: _Indices = np.array(of, dtype=np.intp)

    def sums(self, values: Numbers) -> Numbers:
        """For each element, the sum of a value over all pieces inside; of several rows, for each row."""
        before = running(values)
        sums: Numbers = before[..., self._ends] - before[..., self._begins]
        return sums

    def spread(self, values: Numbers, steps: int) -> Numbers:
        """From a value of each element a row for each step: for each piece the value of the element that it
        stands in, then of the one around that, and so on; 0 where there is none. Of several rows, for each.
        """
        around = np.array([*self._parents, -1])  # around none, which is -1, there is none
        rows = [self.of]
        for _ in range(steps - 1):
            rows.append(around[rows[-1]])
        nothing = np.zeros((*values.shape[:-1], 1))
        spread: Numbers = np.concatenate((values, nothing), axis=-1)[..., np.array(rows)]
        return spread

    def flags(self, words: Numbers) -> Numbers:
        """For each of `KINDS` a row: for each piece, 1 if something around it is of that kind, else 0."""
        most = self.sums(words) / max(float(words.sum()), 1.0) > _MOST
        kinds = [own & ALWAYS if much else own for own, much in zip(self._own, most.tolist(), strict=True)]
        for number, parent in enumerate(self._parents):
            if parent >= 0:
                kinds[number] |= kinds[parent]
        bits = np.arange(len(KINDS))[:, np.newaxis]
        flags: Numbers = (np.array(kinds, dtype=np.int64)[self.of] >> bits & 1).astype(np.float64)
        return flags


def running(values: Numbers) -> Numbers:
    """Sums of the first 0, 1, 2 ... values; of several rows, for each row."""
    sums = np.zeros((*values.shape[:-1], values.shape[-1] + 1))
    np.cumsum(values, axis=-1, out=sums[..., 1:])
    return sums


def _unseen(place: Place | None, seen: dict[Place, int]) -> list[Place]:
    """A place and what is around it, the outermost first, without what has been seen."""
    places: list[Place] = []
    while place is not None and place not in seen:
        places.append(place)
        place = place.parent
    return places[::-1]


def _ends(of: Sequence[int], parents: Sequence[int]) -> list[int]:
    """For each element, the number after its last piece."""
    ends = [0] * len(parents)
    for number, place in enumerate(of):
        ends[place] = number + 1
    for place in range(len(parents) - 1, 0, -1):
        ends[parents[place]] = max(ends[parents[place]], ends[place])
    return ends
