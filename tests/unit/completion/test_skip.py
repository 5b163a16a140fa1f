"""An answer that is asked for again goes on exactly where the first broke off."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.completion.assemble import Assembler
from shared.completion.skip import AlreadySaid
from shared.providers.failures import UpstreamFailure


def _chunks(pieces: list[str], *, field: str = "content") -> list[dict[str, object]]:
    said = [{"choices": [{"index": 0, "delta": {field: piece}, "finish_reason": None}]} for piece in pieces]
    return [*said, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]


def _cut(text: str, places: list[int]) -> list[str]:
    borders = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(borders)]


@given(
    st.text(min_size=1),
    st.lists(st.integers(min_value=0), max_size=5),
    st.lists(st.integers(min_value=0), max_size=5),
    st.integers(min_value=0, max_value=6),
)
def test_both_parts_together_are_the_answer(
    text: str, cuts: list[int], other_cuts: list[int], seen: int
) -> None:
    first = _chunks(_cut(text, cuts))[:-1][:seen]
    said = AlreadySaid(first, "p")
    assembler = Assembler()
    for chunk in first:
        assembler.read(chunk)
    for chunk in _chunks(_cut(text, other_cuts)):
        if (new := said.new_in(chunk)) is not None:
            assembler.read(new)
    choice = assembler.whole()["choices"][0]
    assert (choice["message"]["content"] or "") == text
    assert choice["finish_reason"] == "stop"


def test_an_answer_that_goes_another_way_is_refused() -> None:
    said = AlreadySaid(_chunks(["A weir is"])[:-1], "p")
    assert said.new_in(_chunks(["A weir"])[0]) is None
    with pytest.raises(UpstreamFailure):
        said.new_in(_chunks([" was"])[0])


def test_an_answer_that_ends_too_early_is_refused() -> None:
    said = AlreadySaid(_chunks(["A weir is"])[:-1], "p")
    assert said.new_in(_chunks(["A weir"])[0]) is None
    with pytest.raises(UpstreamFailure):
        said.new_in(_chunks([])[0])


def test_arguments_of_a_tool_go_on_where_they_broke_off() -> None:
    def call(arguments: str) -> dict[str, object]:
        delta = {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": arguments}}]}
        return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}

    said = AlreadySaid([call('{"a"')], "p")
    new = said.new_in(call('{"a":1}'))
    assert new is not None
    delta = new["choices"][0]["delta"]  # type: ignore[index]
    assert delta["tool_calls"] == [{"index": 0, "function": {"arguments": ":1}"}}]
