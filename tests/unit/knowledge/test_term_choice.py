"""Which terms find candidates, and that no question has a large store read."""

from hypothesis import given
from hypothesis import strategies as st

from shared.knowledge.ranking import Corpus
from shared.knowledge.term_choice import TermChoice, choose_terms, rarest


def corpus(**frequencies: int) -> Corpus:
    return Corpus(chunk_count=1_000_000, term_total=60_000_000, frequencies=frequencies)


def chosen(*, examined: int = 4_000, **frequencies: int) -> TermChoice:
    return choose_terms(corpus(**frequencies), list(frequencies), examined=examined)


def test_rare_terms_find_chunks_alone() -> None:
    assert chosen(weir=40, dam=900) == TermChoice(("weir", "dam"), ())


def test_common_terms_find_chunks_together() -> None:
    assert chosen(river=50_000, weir=40, lock=30_000) == TermChoice(("weir",), (("lock", "river"),))


def test_sets_too_large_are_made_smaller_by_another_term() -> None:
    choice = chosen(a=130_000, b=130_000, c=130_000)
    assert choice == TermChoice((), (("a", "b", "c"),))


def test_words_of_half_the_store_are_not_combined_with_others() -> None:
    assert chosen(river=30_000, lock=50_000, water=500_000).together == (("river", "lock"),)


def test_words_of_every_chunk_are_looked_up_all_the_same() -> None:
    assert chosen(the=999_000) == TermChoice((), (("the",),))
    assert chosen(the=999_000, of=998_000) == TermChoice((), (("of", "the"),))


def test_words_of_every_chunk_add_nothing_to_a_rare_one() -> None:
    assert chosen(the=999_000, weir=40) == TermChoice(("weir",), ())


def test_unknown_words_find_nothing() -> None:
    assert choose_terms(corpus(weir=40), ["dam"], examined=4_000) == TermChoice((), ())


def test_a_store_that_grew_since_it_was_counted_is_searched_all_the_same() -> None:
    grown = Corpus(chunk_count=0, term_total=0, frequencies={"river": 5_000, "lock": 5_000})
    assert choose_terms(grown, ["river", "lock"], examined=1_000).together == (("river", "lock"),)


def test_of_a_pasted_page_the_rarest_words_count() -> None:
    page = {f"w{n}": 1_000 - n for n in range(900)}
    asked = rarest(corpus(**page), list(page))
    assert asked == [f"w{n}" for n in range(899, 899 - 64, -1)]


@given(st.lists(st.integers(1, 1_000_000), max_size=80), st.integers(1, 10_000))
def test_what_is_expected_is_within_the_bound(counts: list[int], examined: int) -> None:
    frequencies = {f"w{n}": count for n, count in enumerate(counts)}
    choice = chosen(examined=examined, **frequencies)
    expected = float(sum(frequencies[term] for term in choice.alone))
    for terms in choice.together:
        share = 1.0
        for term in terms:
            share *= frequencies[term] / 1_000_000
        expected += share * 1_000_000
    fallback = not choice.alone and len(choice.together) == 1
    assert fallback or expected <= examined * (1 + 1e-9)
    assert len(choice.alone) <= 64
    assert len(choice.together) <= 154
    assert bool(counts) == bool(choice.alone or choice.together)
