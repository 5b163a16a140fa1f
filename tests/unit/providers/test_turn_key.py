"""A turn has one key before and after its client stored it and sent it back."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.providers.turn_key import turn_key

Message = dict[str, Any]

QUESTION: Message = {"role": "user", "content": "How high is the river?"}

_texts = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda text: not text.isspace())
_ids = st.text(min_size=1, max_size=12)


def _call(call_id: str) -> Message:
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": "level", "arguments": '{"river": "Wear"}'},
    }


_questions = st.builds(lambda text: {"role": "user", "content": text}, _texts)
_spoken = st.builds(
    lambda text, reasoning: {"role": "assistant", "content": text, "reasoning_content": reasoning},
    _texts.filter(lambda text: text.encode().translate(None, b" \t\r\n\v\f") != b""),
    _texts,
)
_calling = st.builds(
    lambda text, ids: {"role": "assistant", "content": text, "tool_calls": [_call(i) for i in ids]},
    st.none() | st.text(max_size=5),
    st.lists(_ids, min_size=1, max_size=4, unique=True),
)


def _in_parts(message: Message) -> None:
    if isinstance(message["content"], str):
        middle = len(message["content"]) // 2
        halves = (message["content"][:middle], message["content"][middle:])
        message["content"] = [{"type": "text", "text": half} for half in halves]


def _trimmed(message: Message) -> None:
    if isinstance(message["content"], str):
        message["content"] = "\r\n".join(message["content"].strip(" \n").split("\n"))


def _emptied(message: Message) -> None:
    """`""` for `null`, and the other way round."""
    if not message["content"]:
        message["content"] = None if message["content"] == "" else ""


def _stripped(message: Message) -> None:
    message.pop("reasoning_content", None)
    for call in message.get("tool_calls", ()):
        call["function"]["arguments"] = '{"river":"Wear"}'
        call.pop("type")


def _decorated(message: Message) -> None:
    message |= {"refusal": None, "annotations": [], "audio": None, "name": "weir"}


def _reversed(message: Message) -> None:
    if "tool_calls" in message:
        message["tool_calls"].reverse()


_CLIENTS: list[Callable[[Message], None]] = [_in_parts, _trimmed, _emptied, _stripped, _decorated, _reversed]


@given(_questions, _spoken | _calling, st.permutations(_CLIENTS))
def test_the_key_holds_whatever_clients_do_to_a_message(question, turn, clients) -> None:
    kept = turn_key("tenant", [question], turn)
    asked, sent_back = copy.deepcopy(question), copy.deepcopy(turn)

    for client in clients:
        client(sent_back)
        if client in (_in_parts, _trimmed, _decorated):
            client(asked)
        assert turn_key("tenant", [asked], sent_back) == kept
    assert kept is not None


@given(_questions, _spoken | _calling, _questions, _spoken | _calling)
def test_other_turns_have_other_keys(question, turn, other_question, other_turn) -> None:
    def essence(before: Message, message: Message) -> Any:
        if calls := message.get("tool_calls"):
            return sorted(call["id"] for call in calls)
        return [
            "".join(m["content"].translate({ord(c): "" for c in " \t\r\n\v\f"}) for m in (before,)),
            *(message["content"].translate({ord(c): "" for c in " \t\r\n\v\f"}),),
        ]

    assume(essence(question, turn) != essence(other_question, other_turn))

    assert turn_key("tenant", [question], turn) != turn_key("tenant", [other_question], other_turn)


@given(_questions, _spoken | _calling, st.text(), st.text())
def test_tenants_have_keys_of_their_own(question, turn, tenant, other) -> None:
    assume(tenant != other)

    assert turn_key(tenant, [question], turn) != turn_key(other, [question], turn)


def test_short_answers_to_different_questions_are_different_turns() -> None:
    done = {"role": "assistant", "content": "Done."}

    assert turn_key("t", [QUESTION], done) != turn_key("t", [{"role": "user", "content": "Go on."}], done)
    assert turn_key("t", [{"role": "system", "content": "x"}, QUESTION], done) == turn_key(
        "t", [QUESTION], done
    )


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "assistant", "content": None},
        {"role": "assistant"},
        {"role": "assistant", "content": " \n"},
        {"role": "assistant", "content": [{"type": "image_url"}]},
        {"role": "assistant", "content": "", "tool_calls": []},
        {"role": "assistant", "content": "x", "tool_calls": [{"type": "function"}]},
        {"role": "assistant", "content": "x", "tool_calls": [{"id": ""}, {"id": "call_1"}]},
        {"role": "assistant", "content": "x", "tool_calls": ["call_1"]},
    ],
)
def test_what_has_nothing_to_know_it_by_has_no_key(turn) -> None:
    assert turn_key("t", [QUESTION], turn) is None


def test_a_turn_with_nothing_before_it_has_a_key() -> None:
    assert turn_key("t", [], {"role": "assistant", "content": "Hello"})
