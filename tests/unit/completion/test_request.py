"""Bodies are validated as far as Weir reads them, and faults are named."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.completion.request import ChatRequest, EmbeddingsRequest, parse_request
from shared.errors import InvalidRequestError

GOOD = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": None}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": [{"role": "robot", "content": "Hi"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages.0.content"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stream": "perhaps"}, "stream"),
        ({"weir": {"knowledge": {"vector_store_ids": []}}}, "weir.knowledge.vector_store_ids"),
        ({"weir": {"knowlege": {}}}, "weir.knowlege"),
    ],
)
def test_a_fault_is_named(change, param) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parse_request(ChatRequest, GOOD | change)

    assert (caught.value.param or "").startswith(param)


@pytest.mark.parametrize("body", [None, [], "text", 7, {}])
def test_what_is_no_request_is_refused(body) -> None:
    with pytest.raises(InvalidRequestError):
        parse_request(ChatRequest, body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)


@given(st.dictionaries(st.sampled_from(["model", "messages", "stream", "tools", "weir", "input"]), JSON))
def test_no_body_raises_anything_else(body) -> None:
    for kind in (ChatRequest, EmbeddingsRequest):
        with suppress(InvalidRequestError):
            assert parse_request(kind, body).model == body["model"]


def test_images_and_text_parts_are_counted() -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.com/weir.jpg"}},
    ]
    request = parse_request(ChatRequest, {**GOOD, "messages": [{"role": "user", "content": parts}]})

    assert request.messages[0].text == "What is this?"
    assert request.messages[0].images == 1
    assert request.estimated_prompt_tokens > 800


@pytest.mark.parametrize(
    ("given_input", "tokens"), [("four letters", 4), (["a", "b"], 2), ([1, 2, 3], 3), ([[1, 2], [3]], 3)]
)
def test_inputs_of_every_form_are_estimated(given_input, tokens) -> None:
    request = parse_request(EmbeddingsRequest, {"model": "m", "input": given_input})

    assert request.estimated_tokens == tokens


def test_tokens_of_chinese_are_about_its_characters() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "堰是横跨河流的低坝"}], "max_tokens": 1}

    assert 9 <= parse_request(ChatRequest, body).estimated_prompt_tokens <= 11
