"""What of a request has to be equal, and what is compared by meaning."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cache.semantic_question import Question, likeness_of, question_of

ASK = {"role": "user", "content": "How long does it take?"}
CHAT: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Can I freeze my gym membership?"},
    {"role": "assistant", "content": "Yes, for 5 euros a month."},
    ASK,
]


def question(messages: list[dict[str, Any]], **fields: Any) -> Question:
    made = question_of({"model": "m", "messages": messages, **fields}, tenant_id="t", model="m")
    assert made is not None
    return made


def likeness(stored: list[dict[str, Any]], new: list[dict[str, Any]]) -> str:
    return likeness_of(question(new), question(stored).turns)


def test_the_last_message_is_the_ask_and_turns_before_it_are_context() -> None:
    made = question(CHAT)
    assert made.ask == "How long does it take?"
    assert made.context == (
        ("user", "Can I freeze my gym membership?"),
        ("assistant", "Yes, for 5 euros a month."),
    )
    assert len(made.embedded) == 2
    assert question([ASK]).embedded == ("How long does it take?",)


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0.1},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"response_format": {"type": "json_object"}},
        {"seed": 7},
        {"field_of_tomorrow": True},
    ],
)
def test_every_parameter_has_to_be_equal(fields: dict[str, Any]) -> None:
    assert question(CHAT).scope("e") != question(CHAT, **fields).scope("e")


def test_transport_does_not_count() -> None:
    assert question(CHAT).scope("e") == question(CHAT, stream=True, user="u", metadata={"a": "b"}).scope("e")


def test_scopes_are_apart_by_tenant_model_and_embedding_model() -> None:
    made = question(CHAT)
    other_tenant = question_of({"messages": CHAT}, tenant_id="u", model="m")
    other_model = question_of({"messages": CHAT}, tenant_id="t", model="n")
    assert other_tenant
    assert other_model
    scopes = {made.scope("e"), made.scope("f"), other_tenant.scope("e"), other_model.scope("e")}
    assert len(scopes) == 4


def test_the_system_prompt_has_to_be_equal() -> None:
    other = [{"role": "system", "content": "Be brief!"}, *CHAT[1:]]
    assert question(CHAT).scope("e") != question(other).scope("e")


def test_tool_results_and_images_have_to_be_equal() -> None:
    def with_result(result: str) -> list[dict[str, Any]]:
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        return [
            CHAT[1],
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": result},
            ASK,
        ]

    def with_image(url: str) -> list[dict[str, Any]]:
        image = {"type": "image_url", "image_url": {"url": url}}
        return [{"role": "user", "content": [{"type": "text", "text": "See this."}, image]}, CHAT[2], ASK]

    for make in (with_result, with_image):
        assert question(make("a")).scope("e") != question(make("b")).scope("e")
        assert question(make("a")).context == ()


@pytest.mark.parametrize(
    "messages",
    [
        [],
        "text",
        [7],
        [{"role": "system", "content": "Only this."}],
        [{"role": "assistant", "content": "Hello"}],
        [{"role": "user", "content": ""}],
        [{"role": "user", "content": "thanks!"}],
        [{"role": "user", "content": "long " * 1000}],
        [{"role": "user", "content": "null \x00 byte"}],
        [{"role": "user", "content": "half \ud83d emoji"}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}],
        [{"role": "user", "content": [{"type": "text", "text": 5}]}],
        [{"role": "user", "content": "hi", "name": "bob"}],
    ],
)
def test_some_requests_have_no_question(messages: Any) -> None:
    assert question_of({"messages": messages}, tenant_id="t", model="m") is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "tool"]) | JSON, "content": JSON},
        optional={"tool_calls": JSON, "name": JSON},
    ),
    max_size=4,
)


@given(MESSAGES | JSON)
def test_any_body_is_read_without_an_error(messages: Any) -> None:
    found = question_of({"messages": messages}, tenant_id="t", model="m")
    assert found is None or found.identity("e") == found.identity("e")


def test_the_same_last_message_in_another_conversation_is_another_question() -> None:
    other = [
        CHAT[0],
        {"role": "user", "content": "Can I switch my SIM to an eSIM?"},
        {"role": "assistant", "content": "Yes, in the app."},
        ASK,
    ]
    assert likeness(CHAT, other) == "different"


def test_a_detail_of_the_conversation_counts() -> None:
    other = [*CHAT[:2], {"role": "assistant", "content": "Yes, for 6 euros a month."}, ASK]
    assert likeness(CHAT, other) == "different"


def test_courtesy_between_turns_does_not_count() -> None:
    polite = [
        *CHAT[:2],
        CHAT[2],
        {"role": "user", "content": "great, thanks"},
        {"role": "assistant", "content": "So?"},
    ]
    assert likeness(CHAT, [*polite[:-2], {"role": "user", "content": "how long does it take"}]) == "same"
    assert question([*CHAT[:3], {"role": "user", "content": "ok"}, ASK]).context == question(CHAT).context


def test_what_was_added_before_the_last_turn_is_noticed() -> None:
    longer = [
        CHAT[0],
        {"role": "user", "content": "Hello! I train on Fridays. Can I freeze my gym membership?"},
        CHAT[2],
        ASK,
    ]
    assert likeness(CHAT, longer) == "added"
    assert likeness(longer, CHAT) != "added"


def test_a_conversation_is_no_single_question() -> None:
    assert question(CHAT).scope("e") != question([CHAT[0], ASK]).scope("e")
    assert likeness([ASK], CHAT) == "different"


def test_several_answers_are_never_one_that_was_stored() -> None:
    body = {"model": "m", "messages": [ASK]}
    assert question_of({**body, "n": 2}, tenant_id="t", model="m") is None
    assert question_of({**body, "n": 1}, tenant_id="t", model="m") is not None
