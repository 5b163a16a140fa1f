"""An answer keeps everything on its way from chunks to the whole and back."""

from hypothesis import given
from hypothesis import strategies as st

from shared.completion.assemble import Assembler, as_chunks

_CALLS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.text(min_size=1, max_size=8),
            "type": st.just("function"),
            "function": st.fixed_dictionaries({"name": st.text(min_size=1), "arguments": st.text()}),
        }
    ),
    min_size=1,
    max_size=3,
)
_MESSAGE = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": st.one_of(st.none(), st.text())},
    optional={"reasoning_content": st.text(min_size=1), "tool_calls": _CALLS},
)
_COMPLETION = st.builds(
    lambda messages, usage: {
        "object": "chat.completion",
        "id": "chatcmpl-1",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": index, "message": message, "finish_reason": "stop"}
            for index, message in enumerate(messages)
        ],
        "usage": {"prompt_tokens": usage, "completion_tokens": 2, "total_tokens": usage + 2},
    },
    st.lists(_MESSAGE, min_size=1, max_size=3),
    st.integers(min_value=1, max_value=10**6),
)


def _assembled(chunks: object) -> dict[str, object]:
    assembler = Assembler()
    for chunk in chunks:  # type: ignore[attr-defined]
        assembler.read(chunk)
    return assembler.whole()


@given(_COMPLETION)
def test_whole_to_chunks_and_back_is_the_same(completion: dict[str, object]) -> None:
    assert _assembled(as_chunks(completion)) == completion


def test_arguments_of_a_tool_call_are_joined_by_index() -> None:
    deltas = [
        [{"index": 0, "id": "a", "type": "function", "function": {"name": "look", "arguments": ""}}],
        [{"index": 1, "id": "b", "type": "function", "function": {"name": "see", "arguments": "{"}}],
        [{"index": 0, "function": {"arguments": '{"x":'}}],
        [{"index": 0, "function": {"arguments": "1}"}}, {"index": 1, "function": {"arguments": "}"}}],
    ]
    chunks = [{"choices": [{"index": 0, "delta": {"tool_calls": delta}}]} for delta in deltas]
    calls = _assembled(chunks)["choices"][0]["message"]["tool_calls"]  # type: ignore[index]
    assert [(c["id"], c["function"]["arguments"]) for c in calls] == [("a", '{"x":1}'), ("b", "{}")]


def test_a_usage_that_grows_from_chunk_to_chunk_is_not_summed() -> None:
    chunks = [{"choices": [], "usage": {"completion_tokens": n}} for n in (1, 2, 3)]
    assert _assembled(chunks)["usage"] == {"completion_tokens": 3}
