"""A stream's usage is what its provider reports last, never a sum over chunks."""

from hypothesis import given
from hypothesis import strategies as st

from shared.completion.transcript import Transcript
from shared.providers.tokens import TokenUsage


def chunk(text: str, *, usage: object = None, finish: str | None = None) -> dict[str, object]:
    return {
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}],
        "usage": usage,
    }


def read(*chunks: dict[str, object]) -> Transcript:
    transcript = Transcript()
    for each in chunks:
        transcript.read(each)
    return transcript


@given(st.integers(1, 10**6), st.lists(st.integers(0, 50), min_size=1, max_size=30))
def test_usage_that_grows_with_every_chunk_is_not_added_up(prompt: int, steps: list[int]) -> None:
    said = [sum(steps[: n + 1]) for n in range(len(steps))]
    transcript = read(
        *(chunk("a", usage={"prompt_tokens": prompt, "completion_tokens": tokens}) for tokens in said)
    )
    assert transcript.usage == TokenUsage(prompt=prompt, completion=said[-1])


def test_usage_on_the_last_words_and_in_a_chunk_of_its_own_count_alike() -> None:
    usage = {
        "prompt_tokens": 21,
        "completion_tokens": 17,
        "prompt_cache_hit_tokens": 16,
        "prompt_cache_miss_tokens": 5,
        "completion_tokens_details": {"reasoning_tokens": 9},
    }
    with_the_end = read(chunk("a"), chunk("", usage=usage, finish="stop"))
    after_the_end = read(chunk("a"), chunk("", finish="stop"), {"choices": [], "usage": usage})
    both = read(chunk("", usage=usage, finish="stop"), {"choices": [], "usage": usage})
    expected = TokenUsage(prompt=21, cached=16, completion=17, reasoning=9)
    assert with_the_end.usage == after_the_end.usage == both.usage == expected


def test_an_empty_report_does_not_wipe_out_the_one_before() -> None:
    used = {"prompt_tokens": 3, "completion_tokens": 1}
    nothing = {"prompt_tokens": 0, "completion_tokens": 0}
    assert read(chunk("a", usage=used), chunk("", usage=nothing)).usage == TokenUsage(3, 0, 1, 0)
    assert read(chunk("a", usage=nothing)).usage is None
