"""A body as each provider wants it."""

import copy
from typing import Any, get_args

import orjson
import pytest

from shared.errors import InvalidRequestError
from shared.providers.catalog import Deployment, Models, Quirk
from shared.providers.dialect import encode_body
from shared.providers.load import load_catalog
from shared.providers.quirks import CHANGES, RECALLED

QUESTION = {"role": "user", "content": "How high is the river?"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "level", "arguments": "{}"}}
TURN = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "3 m"}
NAMED = {"type": "function", "function": {"name": "level"}}


@pytest.fixture
async def models() -> Models:
    return Models(await load_catalog(""))


@pytest.fixture
def deepseek(models: Models) -> Deployment:
    return models.chat("deepseek-flash")[0]


@pytest.fixture
def openai(models: Models) -> Deployment:
    return models.chat("gpt-6-luna")[0]


def sent(to: Deployment, *, tenant_id: str = "tenant", **fields: Any) -> dict[str, Any]:
    body = {"model": "alias", "messages": [QUESTION], **fields}
    before = copy.deepcopy(body)
    decoded: dict[str, Any] = orjson.loads(encode_body(body, to, tenant_id=tenant_id))
    assert body == before
    return decoded


def test_every_quirk_has_a_function() -> None:
    assert set(CHANGES) == set(get_args(Quirk))


def test_what_has_no_quirk_passes_untouched(models) -> None:
    row = models.chat("deepseek-flash")[0]
    plain = Deployment(row.provider.model_copy(update={"quirks": frozenset()}), row.model)
    fields = {
        "max_completion_tokens": 5,
        "tool_choice": "required",
        "thinking": {"type": "enabled"},
        "user": "u",
        "repetition_penalty": 1.1,
        "messages": [{"role": "developer", "content": "Be brief."}, {**TURN, "reasoning_content": "Mine."}],
    }

    assert sent(plain, **fields) == {"model": "deepseek-flash", **fields}


@pytest.mark.parametrize("choice", ["required", NAMED])
@pytest.mark.parametrize("asked", [{}, {"thinking": {"type": "enabled"}}, {"reasoning_effort": "high"}])
def test_a_forced_tool_call_is_not_thought_about(deepseek, choice, asked) -> None:
    body = sent(deepseek, tools=[], tool_choice=choice, **asked)

    assert body["tool_choice"] == choice
    assert body["thinking"] == {"type": "disabled"}
    assert "reasoning_effort" not in body


def test_a_free_choice_of_tools_leaves_thinking_alone(deepseek) -> None:
    assert "tool_choice" not in sent(deepseek, tools=[], tool_choice="auto")
    assert sent(deepseek, tools=[], tool_choice="none")["tool_choice"] == "none"
    for choice in ("auto", "none", None):
        assert "thinking" not in sent(deepseek, tools=[], tool_choice=choice)


def test_without_thinking_the_choice_of_tools_stays(deepseek) -> None:
    off = {"type": "disabled"}

    for choice in ("auto", "none", "required", NAMED):
        body = sent(deepseek, tools=[], tool_choice=choice, thinking=off)
        assert (body["tool_choice"], body["thinking"]) == (choice, off)
    body = sent(deepseek, tools=[], tool_choice="auto", reasoning_effort="none")
    assert (body["tool_choice"], body["thinking"]) == ("auto", off)


def test_the_effort_none_switches_thinking_off(deepseek) -> None:
    body = sent(deepseek, reasoning_effort="none")
    assert body["thinking"] == {"type": "disabled"}
    assert "reasoning_effort" not in body

    wanted = {"type": "enabled"}
    assert sent(deepseek, reasoning_effort="none", thinking=wanted)["thinking"] == wanted
    assert sent(deepseek, reasoning_effort="low")["reasoning_effort"] == "low"


def test_every_assistant_turn_has_reasoning(deepseek) -> None:
    messages = [
        QUESTION,
        {**TURN, RECALLED: "Look it up."},
        RESULT,
        {
            "role": "assistant",
            "content": "3 m",
            "reasoning_content": "The caller's own.",
            RECALLED: "Another.",
        },
        QUESTION,
        {"role": "assistant", "content": "3 m", "reasoning_content": "", RECALLED: "Lost and found."},
        QUESTION,
        {"role": "assistant", "content": "3 m"},
        QUESTION,
    ]

    said = [m.get("reasoning_content") for m in sent(deepseek, messages=messages)["messages"]]

    assert said == [
        *(None, "Look it up.", None, "The caller's own.", None, "Lost and found.", None, "", None),
    ]
    assert RECALLED not in str(sent(deepseek, messages=messages))


def test_reasoning_of_the_vault_goes_only_to_who_wants_it(models, deepseek, openai) -> None:
    messages = [QUESTION, {**TURN, RECALLED: "Look it up."}, RESULT]
    plain = Deployment(deepseek.provider.model_copy(update={"quirks": frozenset()}), deepseek.model)

    for deployment in (plain, openai):
        assert sent(deployment, messages=messages)["messages"] == [QUESTION, TURN, RESULT]


def test_the_limit_has_the_name_that_the_provider_obeys(deepseek, openai) -> None:
    for fields in (
        {"max_tokens": 7},
        {"max_completion_tokens": 7},
        {"max_completion_tokens": 7, "max_tokens": 9},
    ):
        assert [v for k, v in sent(deepseek, **fields).items() if k.startswith("max_")] == [7]
        assert sent(deepseek, **fields)["max_tokens"] == 7
        assert [v for k, v in sent(openai, **fields).items() if k.startswith("max_")] == [7]
        assert sent(openai, **fields)["max_completion_tokens"] == 7
    for fields in ({}, {"max_tokens": None}, {"max_completion_tokens": None}):
        assert sent(deepseek, **fields).get("max_tokens") is None
        assert sent(openai, **fields).get("max_completion_tokens") is None


def test_developers_speak_as_the_system(deepseek, openai) -> None:
    messages = [{"role": "developer", "content": "Be brief."}, QUESTION]

    assert sent(deepseek, messages=messages)["messages"] == [
        {"role": "system", "content": "Be brief."},
        QUESTION,
    ]
    assert sent(openai, messages=messages)["messages"] == messages


def test_tenants_never_share_a_cache_whatever_they_call_their_users(deepseek) -> None:
    who = [
        {},
        {"user": "mo"},
        {"user": "flo"},
        {"user_id": ["mo"]},
        {"user": "mo", "user_id": "b"},
        {"safety_identifier": "x", "user": "mo"},
    ]

    ids = [sent(deepseek, tenant_id=tenant, **fields)["user_id"] for tenant in ("a", "b") for fields in who]

    assert len(set(ids)) == 2 * len(who)
    assert all(len(name) <= 512 and name.isalnum() for name in ids)
    # Nor does one tenant take the place of another by sending what that one is sent under.
    assert sent(deepseek, tenant_id="b", user_id=ids[0])["user_id"] not in ids
    assert sent(deepseek, user="mo")["user_id"] == sent(deepseek, user_id="mo")["user_id"]
    assert "mo" not in sent(deepseek, user="mo").values()


def test_a_request_for_deepseek_can_fall_back_to_openai(openai) -> None:
    messages = [QUESTION, {**TURN, "reasoning_content": "Look it up."}, RESULT]

    body = sent(openai, messages=messages, thinking={"type": "disabled"}, user_id="mo", temperature=0)

    assert body == {
        "model": "gpt-6-luna",
        "messages": [QUESTION, TURN, RESULT],
        "reasoning_effort": "none",
        "temperature": 0,
    }
    assert "reasoning_effort" not in sent(openai, thinking={"type": "enabled"})


def test_embeddings_have_no_messages_and_no_quirks(deepseek) -> None:
    body = {"model": "alias", "input": ["A dam."], "user": "mo"}

    assert orjson.loads(encode_body(body, deepseek, tenant_id="t")) == {**body, "model": "deepseek-flash"}


@pytest.mark.parametrize("name", ["metadata", "user"])
def test_a_body_too_deep_to_write_is_the_callers_fault(deepseek, name) -> None:
    deep = orjson.loads("[" * 300 + "]" * 300)

    with pytest.raises(InvalidRequestError, match="deeply"):
        sent(deepseek, **{name: deep})
