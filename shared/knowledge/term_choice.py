"""Which terms of a question find candidates, so that a search costs as much in a store of any size. Pure.

Rare terms find a chunk by themselves. A term that a large part of the store holds would have all of it read;
the chunks that matter hold several such terms, so these are looked up together.
docs/decisions/0013-bounded-term-search.md says what is missed so.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations

from shared.knowledge.ranking import Corpus

# Terms of a question that are looked up and weighed, rarest first: a pasted page is no reason to read the
# whole index, nor to look for each of its words in every chunk.
_MOST_TERMS = 64

# Of the common terms so many are combined, and up to so many at once: 154 combinations at most.
_COMBINED = 8
_AT_ONCE = 4

# Chunks that the combined terms may stand in, counted for each: the index reads all their numbers, a thousand
# in 20 us. Two terms are combined however common.
_LISTED = 400_000


@dataclass(frozen=True)
class TermChoice:
    """Found is every chunk that has one of `alone`, or all of one set of `together`."""

    alone: tuple[str, ...]
    together: tuple[tuple[str, ...], ...]


def rarest(corpus: Corpus, terms: Sequence[str]) -> list[str]:
    """The terms that tell most, of those that stand in a chunk; the rarest first."""
    known = (term for term in terms if term in corpus.frequencies)
    return sorted(known, key=lambda term: corpus.frequencies[term])[:_MOST_TERMS]


def choose_terms(corpus: Corpus, terms: Sequence[str], *, examined: int) -> TermChoice:
    """The terms to look up such that about `examined` chunks are found, or fewer.

    If even the terms all together are in more chunks, they are what is looked up.
    """
    known = rarest(corpus, terms)
    alone: list[str] = []
    left = examined
    for term in known:
        if corpus.frequencies[term] > left:
            break
        alone.append(term)
        left -= corpus.frequencies[term]
    common = _worth_combining(corpus, known[len(alone) :])
    together = _combined(corpus, common, left)
    if common and not alone and not together:
        together = [tuple(common)]
    return TermChoice(tuple(alone), tuple(together))


def _worth_combining(corpus: Corpus, common: Sequence[str]) -> list[str]:
    listed = accumulate(corpus.frequencies[term] for term in common)
    few = [term for term, so_far in zip(common, listed, strict=True) if so_far <= _LISTED]
    return list(common[: max(2, len(few))][:_COMBINED])


def _combined(corpus: Corpus, common: Sequence[str], left: float) -> list[tuple[str, ...]]:
    """Sets of terms, the smallest first, that are expected in no more than `left` chunks in all."""
    chosen: list[tuple[str, ...]] = []
    for size in range(2, _AT_ONCE + 1):
        sets = ((_expected(corpus, terms), terms) for terms in combinations(common, size))
        for expected, terms in sorted(sets):
            # A set that holds a chosen one finds nothing more.
            if expected <= left and not any(set(smaller) <= set(terms) for smaller in chosen):
                chosen.append(terms)
                left -= expected
    return chosen


def _expected(corpus: Corpus, terms: Sequence[str]) -> float:
    """In how many chunks all of the terms would stand if they knew nothing of each other."""
    # The store may have grown since its chunks were counted.
    chunks = max(corpus.chunk_count, *(corpus.frequencies[t] for t in terms))
    return chunks * math.prod(corpus.frequencies[t] / chunks for t in terms)
