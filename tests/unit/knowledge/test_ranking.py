import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.knowledge.ranking import Candidate, ChunkKey, Corpus, bm25, falling, rank

CORPUS = Corpus(chunk_count=100, term_total=1000, frequencies={"weir": 2, "the": 90})
VALUES = st.lists(st.floats(0, 1), max_size=30)


def candidate(
    name: str, similarity: float | None, *, model: str = "m", weight: float = 0.4, **occurrences: int
) -> Candidate:
    return Candidate(
        key=ChunkKey("vs", name, 0),
        length=10,
        occurrences=occurrences,
        similarity=similarity,
        model=model,
        dense_weight=weight,
    )


def order(*candidates: Candidate, corpus: Corpus = CORPUS, terms: tuple[str, ...] = ("weir", "the")) -> str:
    return "".join(ranked.key.file_id for ranked in rank(candidates, corpus, terms))


def test_bm25_is_okapis() -> None:
    idf = math.log(1 + (100 - 2 + 0.5) / (2 + 0.5))
    assert bm25(candidate("a", 0, weir=3), CORPUS, ["weir"]) == pytest.approx(idf * 3 * 1.6 / (3 + 0.6))
    longer = replace(candidate("a", 0, weir=3), length=20)
    assert bm25(longer, CORPUS, ["weir"]) < bm25(candidate("a", 0, weir=3), CORPUS, ["weir"])


def test_both_signals_count() -> None:
    both, words, meaning = candidate("b", 0.8, weir=1), candidate("w", 0.1, weir=1), candidate("m", 0.8)
    neither = candidate("n", 0.1, the=1)
    assert order(neither, meaning, words, both) == "bwmn"
    heavy = [replace(c, dense_weight=0.9) for c in (neither, meaning, words, both)]
    assert order(*heavy) == "bmwn"


def test_without_vectors_words_decide_and_without_words_vectors() -> None:
    assert order(candidate("a", None, the=1), candidate("b", None, weir=1)) == "ba"
    assert order(candidate("a", 0.2), candidate("b", 0.7), terms=()) == "ba"


def test_similarities_of_two_models_do_not_compare() -> None:
    # A model whose similarities are all high does not win by that.
    high = [candidate("h", 0.95, model="e5"), candidate("i", 0.90, model="e5")]
    low = [candidate("l", 0.50, model="use"), candidate("k", 0.10, model="use")]
    assert set(order(*high, *low)[:2]) == {"h", "l"}


def test_the_score_of_a_passage_depends_on_it_and_the_corpus_alone() -> None:
    good, bad = candidate("g", 0.9, weir=1, the=1), candidate("b", -0.2)
    (alone,) = rank([good], CORPUS, ["weir", "the"])
    first, last = rank([bad, good], CORPUS, ["weir", "the"])
    assert first == alone
    assert first.score == pytest.approx(0.4 * 0.9 + 0.6)
    assert last.score == 0


def test_nothing_in_nothing_out() -> None:
    assert rank([], CORPUS, ["weir"]) == []
    empty = Corpus(chunk_count=0, term_total=0, frequencies={})
    assert order(candidate("a", 0.5), corpus=empty) == "a"


@given(
    st.lists(st.tuples(st.floats(-1, 1), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=20),
    st.floats(0, 1),
)
def test_scores_are_from_0_to_1_and_never_rise(rows: list[tuple[float, int, int]], weight: float) -> None:
    candidates = [
        candidate(str(n), similarity, weight=weight, weir=weir, the=the)
        for n, (similarity, weir, the) in enumerate(rows)
    ]
    scores = [ranked.score for ranked in rank(candidates, CORPUS, ["weir", "the"])]
    assert len(scores) == len(rows)
    assert all(0 <= score <= 1 + 1e-9 for score in scores)
    assert scores == sorted(scores, reverse=True)


@given(VALUES)
def test_falling_keeps_the_sum_and_what_falls_already(values: list[float]) -> None:
    assert sum(falling(values)) == pytest.approx(sum(values))
    ordered = sorted(values, reverse=True)
    assert falling(ordered) == ordered


def test_falling_shares_the_mean_where_values_rise() -> None:
    assert falling([3, 1, 2, 0]) == [3, 1.5, 1.5, 0]
    assert falling([1, 2, 3]) == [2, 2, 2]
