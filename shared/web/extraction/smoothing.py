"""What a first judgement of all pieces adds to what is known of each."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from shared.web.extraction.containers import Numbers, running
from shared.web.extraction.reading import Column, Reading, Shifted, everywhere, per, windows

_NEIGHBOURS: Final = (1, 2, 3, 4)
_WINDOWS: Final = (3, 8, 20, 50)
_CONTAINERS: Final = 4
# So that pieces without words count a little.
_LEAST_WORDS: Final = 0.3


def second_columns(page: Reading, chances: Numbers) -> Iterator[Column]:
    """A piece is likelier to belong when what is around it does.

    `chances` are the first judgement's, from 0 to 1.
    """
    weights = page.words + _LEAST_WORDS
    yield "first chance", chances
    yield "first odds", np.log((chances + 1e-6) / (1 - chances + 1e-6))
    near = Shifted(chances, max(_NEIGHBOURS))
    for distance in _NEIGHBOURS:
        yield f"chance {distance} before", near.before(distance)
        yield f"chance {distance} after", near.after(distance)
    yield from _windows(chances, weights)
    yield from _containers(page, chances, weights)
    yield from _likes(page, chances, weights)
    yield "best chance so far", np.maximum.accumulate(chances)
    yield "best chance to come", np.maximum.accumulate(chances[::-1])[::-1]
    yield "best chance", everywhere(page, float(chances.max(initial=0.0)))
    expected = float((chances * weights).sum())
    yield "chance of a word", everywhere(page, expected / float(weights.sum()))
    yield "expected words", everywhere(page, float(np.log1p(expected)))


def _windows(chances: Numbers, weights: Numbers) -> Iterator[Column]:
    words, hits = running(weights), running(chances * weights)
    here = np.arange(len(chances))
    low, high = windows(len(chances), _WINDOWS)
    for side, begin, end in (("", low, high), (" before", low, here), (" after", here + 1, high)):
        shares = per(hits[end] - hits[begin], words[end] - words[begin])
        for row, size in enumerate(_WINDOWS):
            yield f"chance within {size}{side}", shares[row]


def _containers(page: Reading, chances: Numbers, weights: Numbers) -> Iterator[Column]:
    hits, words = page.containers.sums(np.array((chances * weights, weights)))
    for level, shares in enumerate(page.containers.spread(per(hits, words), _CONTAINERS)):
        yield f"chance in container {level}", shares


def _likes(page: Reading, chances: Numbers, weights: Numbers) -> Iterator[Column]:
    for name, likes in page.likes.items():
        hits, others = likes.others(np.array((chances * weights, weights)))
        share = per(hits, others)
        yield f"chance of {name}", np.where(others > _LEAST_WORDS / 2, share, chances)
