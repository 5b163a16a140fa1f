"""Which pieces of a page are its main content.

Two logistic models judge each piece: the first by what is known of it, the second also by what the first made
of its surroundings. Their weights are a table (`weights.py`) that `bench/fit_extraction.py` makes. Then those
pieces are kept that together have the best F1 to be expected.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from shared.web.extraction.features import first_columns
from shared.web.extraction.reading import Column, Numbers, Reading
from shared.web.extraction.smoothing import second_columns
from shared.web.extraction.weights import FIRST, SECOND


def chosen(page: Reading) -> list[bool]:
    """For each piece whether to keep it."""
    if not page.pieces:
        return []
    columns = list(first_columns(page))
    first = chances(columns, FIRST)
    second = chances([*columns, *second_columns(page, first)], SECOND)
    return best_expected(second, page.words)


def chances(columns: Iterable[Column], weights: Mapping[str, float]) -> Numbers:
    """A logistic model: for each piece the chance that it belongs, from 0 to 1."""
    odds = sum(weights[name] * values for name, values in columns) + weights["constant"]
    likely: Numbers = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
    return likely


def best_expected(chances: Numbers, words: Numbers) -> list[bool]:
    """Keep the likeliest pieces, as many as give the best F1 over words to be expected of them.

    F1 is 2 * hits / (kept + wanted): with each piece taken, the hits to be expected grow by its chance times
    its words, and the best is where that no longer outweighs the words that are kept.
    """
    order = np.argsort(-chances, kind="stable")
    hits = np.cumsum((chances * words)[order])
    kept = np.cumsum(words[order])
    expected = 2 * hits / (kept + hits[-1] + 1e-9)
    keep = np.zeros(len(chances), dtype=bool)
    keep[order[: int(np.argmax(expected)) + 1]] = True
    return [bool(one) for one in keep]
