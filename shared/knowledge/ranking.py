"""Orders candidates by BM25 and vector similarity together. Pure.

Both signals are known of every candidate, whichever leg found it, so no candidate is ranked by half of them.
The order is a weighted sum of the two, each standardised within the query (better than reciprocal rank
fusion: Bruch et al., "An Analysis of Fusion Functions for Hybrid Retrieval", TOIS 2023). A standard
deviation, unlike the range of min-max, does not let one outlier press the others together: better on every
set measured, and the best weight is about a half for a weak encoder as for a good one (docs/knowledge.md).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# BM25's saturation of repeats and weight of length, as Anserini found them best for the order of passages
# (MS MARCO, github.com/castorini/anserini, docs/experiments-msmarco-passage.md). Its defaults, 0.9 and 0.4,
# do a little worse beside vectors on every set measured.
K1 = 0.6
B = 0.62


@dataclass(frozen=True, order=True)
class ChunkKey:
    """Which chunk of the tenant, and of which version of its file."""

    vector_store_id: str
    file_id: str
    ordinal: int
    version: int = 0


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """BM25's statistics of the stores searched. `frequencies`: chunks that hold a term of the question."""

    chunk_count: int
    term_total: int
    frequencies: Mapping[str, int]

    def idf(self, term: str) -> float:
        """How much a term tells; a term of no chunk as much as one of a single chunk."""
        holding = max(1, self.frequencies.get(term, 0))
        return math.log(1 + (max(self.chunk_count, holding) - holding + 0.5) / (holding + 0.5))

    @property
    def average_length(self) -> float:
        """Terms a chunk, at least one."""
        return max(1.0, self.term_total / max(1, self.chunk_count))


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A chunk that one leg or both found.

    `occurrences`: how often each term of the question stands in it; `similarity`: cosine with the question,
    -1 to 1, `None` where the question could not be embedded. Similarities of different models do not compare,
    so they are standardised within `model`, and count `dense_weight` beside BM25 (0 to 1).
    """

    key: ChunkKey
    length: int
    occurrences: Mapping[str, int]
    similarity: float | None
    model: str
    dense_weight: float


@dataclass(frozen=True)
class Ranked:
    """A candidate's place is in the list; its score is 0 to 1 (see `rank`)."""

    key: ChunkKey
    score: float


def rank(candidates: Sequence[Candidate], corpus: Corpus, terms: Sequence[str]) -> list[Ranked]:
    """All candidates, best first.

    Standardised values say who is better within one query and nothing across queries. So the score is another
    figure, for thresholds: by the same weights, the cosine (below 0 as 0) and the part of the question's term
    weight that BM25 finds in the chunk (1: every term, once, in a chunk of average length). Where the two
    disagree about the order, neighbours share their mean, so that scores never rise down the list (isotonic
    regression).
    """
    if not candidates:
        return []
    lexical = [bm25(candidate, corpus, terms) for candidate in candidates]
    lexical_standing = _standardised(lexical)
    dense_standing = _standardised_by_model(candidates)
    whole = sum(map(corpus.idf, terms))
    found = [min(1.0, score / whole) if whole else 0.0 for score in lexical]
    fused = [_mix(c, dense_standing[i], lexical_standing[i]) for i, c in enumerate(candidates)]
    relevance = [_mix(c, max(0.0, c.similarity or 0.0), found[i]) for i, c in enumerate(candidates)]
    order = sorted(range(len(candidates)), key=lambda i: (-fused[i], candidates[i].key))
    scores = falling([relevance[i] for i in order])
    return [Ranked(candidates[i].key, score) for i, score in zip(order, scores, strict=True)]


def bm25(candidate: Candidate, corpus: Corpus, terms: Sequence[str]) -> float:
    """Okapi BM25 with Lucene's idf, which is never negative."""
    length = K1 * (1 - B + B * candidate.length / corpus.average_length)
    score = 0.0
    for term in terms:
        if count := candidate.occurrences.get(term, 0):
            score += corpus.idf(term) * count * (K1 + 1) / (count + length)
    return score


def falling(values: Sequence[float]) -> list[float]:
    """The closest list, by least squares, that never rises (pool adjacent violators)."""
    pools: list[tuple[float, int]] = []
    for value in values:
        mean, size = value, 1
        while pools and pools[-1][0] < mean:
            above, count = pools.pop()
            mean, size = (mean * size + above * count) / (size + count), size + count
        pools.append((mean, size))
    return [mean for mean, size in pools for _ in range(size)]


def _mix(candidate: Candidate, dense: float, lexical: float) -> float:
    weight = 0.0 if candidate.similarity is None else candidate.dense_weight
    return weight * dense + (1 - weight) * lexical


def _standardised(values: Sequence[float]) -> list[float]:
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    return [(value - mean) / deviation if deviation else 0.0 for value in values]


def _standardised_by_model(candidates: Sequence[Candidate]) -> list[float]:
    standing = [0.0] * len(candidates)
    for model in {candidate.model for candidate in candidates}:
        places = [i for i, c in enumerate(candidates) if c.model == model and c.similarity is not None]
        values = [candidates[i].similarity or 0.0 for i in places]
        for i, value in zip(places, _standardised(values) if values else (), strict=True):
            standing[i] = value
    return standing
