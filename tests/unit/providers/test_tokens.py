"""Token counts are taken as providers report them, in all their dialects."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ledger.prices import Price, cost_microdollars
from shared.providers.tokens import TokenUsage

counts = st.integers(min_value=0, max_value=10**9)
PRICE = Price(input=Decimal("1.32"), cached_input=Decimal("0.044"), output=Decimal("3.96"))


@given(counts, counts, counts, counts, st.sampled_from(["details", "hit tokens", "both"]))
def test_cache_hits_count_once_wherever_they_are_reported(
    hit: int, miss: int, completion: int, reasoning: int, dialect: str
) -> None:
    usage: dict[str, object] = {
        "prompt_tokens": hit + miss,
        "completion_tokens": completion,
        "total_tokens": hit + miss + completion,
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    if dialect != "details":
        usage |= {"prompt_cache_hit_tokens": hit, "prompt_cache_miss_tokens": miss}
    if dialect != "hit tokens":
        usage["prompt_tokens_details"] = {"cached_tokens": hit}

    read = TokenUsage.from_body(usage)

    assert read == TokenUsage(hit + miss, hit, completion, reasoning)
    cost = cost_microdollars(
        PRICE,
        prompt_tokens=read.prompt,
        cached_tokens=read.cached,
        completion_tokens=read.completion,
        at=datetime(2026, 11, 24, tzinfo=UTC),
    )
    exact = miss * Decimal("1.32") + hit * Decimal("0.044") + completion * Decimal("3.96")
    assert abs(cost - exact) <= Decimal("0.5")


@given(counts, counts)
def test_no_more_of_a_prompt_is_cached_than_there_is(prompt: int, cached: int) -> None:
    for usage in (
        {"prompt_tokens": prompt, "prompt_cache_hit_tokens": cached},
        {"prompt_tokens": prompt, "prompt_tokens_details": {"cached_tokens": cached}},
    ):
        assert TokenUsage.from_body(usage).cached == min(prompt, cached)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=5,
)
FIELDS = (
    "prompt_tokens",
    "completion_tokens",
    "prompt_cache_hit_tokens",
    "prompt_tokens_details",
    "completion_tokens_details",
)


@given(st.one_of(anything, st.dictionaries(st.sampled_from(FIELDS), anything)))
def test_whatever_a_provider_says_is_counts(usage: object) -> None:
    read = TokenUsage.from_body(usage)

    for count in (read.prompt, read.cached, read.completion, read.reasoning):
        assert type(count) is int
        assert count >= 0
    assert read.cached <= read.prompt


@pytest.mark.parametrize("garbled", [True, -1, 10**13, "12", 1.5, None])
def test_what_is_no_count_counts_nothing(garbled: object) -> None:
    assert TokenUsage.from_body({"prompt_tokens": garbled, "completion_tokens": garbled}) == TokenUsage()
