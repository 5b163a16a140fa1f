"""Which pieces of a page are its main content.

Two logistic models judge each piece: the first by what is known of it, the second also by what the first made
of its surroundings. Their weights are a table (`weights.py`) that `bench/fit_extraction.py` makes. Then those
pieces are kept that together have the best F1 to be expected, each text once.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.web.extraction.containers import Numbers
from shared.web.extraction.features import first_columns
from shared.web.extraction.reading import Column, Reading
from shared.web.extraction.smoothing import second_columns
from shared.web.extraction.weights import FIRST, SECOND

Choice = NDArray[np.bool_]

# On a page that says it is an article, trafilatura is trusted where it found so many words, so great a part
# of them in paragraphs: nothing is kept before its first piece and after its last, what it left out in
# between has to be this likely, and if the text grew by half with that, its own choice stands.
_ARTICLE_WORDS: Final = 60
_ARTICLE_PROSE: Final = 0.8
_ARTICLE_CHANCE: Final = 0.6
_ARTICLE_GROWTH: Final = 1.5
_PARAGRAPH_WORDS: Final = 20
# Texts of up to so many words may well stand twice: "Yes", "Example", "In stock".
_COPY_WORDS: Final = 4


def chosen(page: Reading, *, article: bool) -> list[bool]:
    """For each piece whether to keep it. `article`: whether the page says that it is one."""
    if not page.pieces:
        return []
    columns = list(first_columns(page))
    first = chances(columns, FIRST)
    second = chances([*columns, *second_columns(page, first)], SECOND)
    keep = best_expected(second, page.words)
    if article:
        keep = _of_article(page, second, keep)
    return [bool(one) for one in _once(page, second, keep)]


def chances(columns: Iterable[Column], weights: Mapping[str, float]) -> Numbers:
    """A logistic model: for each piece the chance that it belongs, from 0 to 1."""
    names, values = zip(*columns, strict=True)
    # Not by the quicker `@`: for large pages it sets other threads to work, which wait busily for more.
    odds = np.einsum("i,ij->j", [weights[name] for name in names], np.array(values)) + weights["constant"]
    likely: Numbers = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
    return likely


def best_expected(chances: Numbers, words: Numbers) -> Choice:
    """Keep the likeliest pieces, as many as give the best F1 over words to be expected of them.

    F1 is 2 * hits / (kept + wanted): with each piece taken, the hits to be expected grow by its chance times
    its words, and the best is where that no longer outweighs the words that are kept.
    """
    keep = np.zeros(len(chances), dtype=np.bool_)
    if len(chances):
        order = np.argsort(-chances, kind="stable")
        hits = np.cumsum((chances * words)[order])
        kept = np.cumsum(words[order])
        keep[order[: int(np.argmax(2 * hits / (kept + hits[-1] + 1e-9))) + 1]] = True
    return keep


def _of_article(page: Reading, chances: Numbers, keep: Choice) -> Choice:
    taken = page.taken > 0.5
    words = float((page.taken * page.words).sum())
    begin, end = page.taken_span()
    if words < _ARTICLE_WORDS:
        return keep
    numbers = np.arange(len(keep))
    within = keep & (numbers >= begin) & (numbers <= end) & (taken | (chances > _ARTICLE_CHANCE))
    prose = float(page.words[taken & (page.words > _PARAGRAPH_WORDS)].sum())
    grown = float(page.words[within].sum()) > _ARTICLE_GROWTH * words
    return taken if grown and prose > _ARTICLE_PROSE * float(page.words[taken].sum()) else within


def _once(page: Reading, chances: Numbers, keep: Choice) -> Choice:
    """Of each text the likeliest stays: sites keep copies for narrow screens and for printers."""
    best: dict[str, int] = {}
    for number in map(int, np.flatnonzero(keep)):
        text = page.pieces[number].text
        if page.words[number] > _COPY_WORDS:
            held = best.setdefault(text, number)
            if chances[number] > chances[held]:
                best[text] = number
    kept = set(best.values())
    once = [number in kept or page.words[number] <= _COPY_WORDS for number in range(len(keep))]
    result: Choice = keep & np.array(once, dtype=np.bool_)
    return result
