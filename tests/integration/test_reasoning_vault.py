"""Reasoning comes back at the turns it was given at, on a plain Valkey and on a cluster."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from shared.providers.quirks import RECALLED
from shared.providers.reasoning_vault import MOST_TURNS, ReasoningVault, VaultOptions
from shared.valkey.client import Valkey

Message = dict[str, Any]

QUESTION: Message = {"role": "user", "content": "How high is the river?"}
CALLING: Message = {
    "role": "assistant",
    "content": None,
    "reasoning_content": "Look it up, 查一下.",
    "tool_calls": [
        {"id": f"call_{n}", "type": "function", "function": {"name": "level", "arguments": "{}"}}
        for n in (1, 2)
    ],
}
RESULTS: list[Message] = [{"role": "tool", "tool_call_id": f"call_{n}", "content": "3 m"} for n in (1, 2)]
ANSWER: Message = {"role": "assistant", "content": "3 m.", "reasoning_content": "Both say 3 m."}


@pytest.fixture
def vault(valkey: Valkey) -> ReasoningVault:
    return ReasoningVault(valkey)


@pytest.fixture
def tenant() -> str:
    return f"tenant_{uuid.uuid4().hex}"


def forgotten(message: Message) -> Message:
    return {name: value for name, value in message.items() if name != "reasoning_content"}


def recalled(messages: Any) -> list[str | None]:
    return [message.get(RECALLED) for message in messages]


async def keys_of(valkey: Valkey, tenant: str) -> list[bytes]:
    async def scan(client: Redis) -> list[bytes]:
        return [key async for key in client.scan_iter(f"*{tenant}*")]

    return await valkey.attempt(scan) or []


async def ttl_of(valkey: Valkey, key: bytes) -> int:
    return await valkey.attempt(lambda client: client.ttl(key)) or 0


async def test_what_was_thought_is_put_back_at_every_turn(vault, tenant) -> None:
    asked = [QUESTION, CALLING, *RESULTS]
    await vault.keep(tenant, [QUESTION], CALLING)
    await vault.keep(tenant, asked, ANSWER)
    sent_back = [
        QUESTION,
        {**forgotten(CALLING), "content": "", "tool_calls": CALLING["tool_calls"][::-1]},
        *RESULTS,
        {"role": "assistant", "content": [{"type": "text", "text": "3 m."}], "reasoning_content": ""},
        QUESTION,
    ]

    filled = await vault.fill(tenant, sent_back)

    assert recalled(filled) == [None, "Look it up, 查一下.", None, None, "Both say 3 m.", None]
    assert [{k: v for k, v in m.items() if k != RECALLED} for m in filled] == sent_back
    assert all(RECALLED not in message for message in sent_back)


async def test_a_turn_that_brings_its_reasoning_keeps_it(vault, tenant) -> None:
    await vault.keep(tenant, [QUESTION], ANSWER)
    messages = [QUESTION, {**ANSWER, "reasoning_content": "Mine."}, QUESTION]

    assert await vault.fill(tenant, messages) is messages


async def test_tenants_are_apart(vault, tenant) -> None:
    await vault.keep(tenant, [QUESTION], CALLING)

    messages = [QUESTION, forgotten(CALLING)]

    assert await vault.fill(f"{tenant}2", messages) is messages
    assert recalled(await vault.fill(tenant, messages)) == [None, CALLING["reasoning_content"]]


async def test_of_turns_that_cannot_be_told_apart_the_first_keeps_what_it_thought(vault, tenant) -> None:
    await vault.keep(tenant, [QUESTION], ANSWER)
    await vault.keep(tenant, [QUESTION, ANSWER, QUESTION], {**ANSWER, "reasoning_content": "Again?"})

    filled = await vault.fill(tenant, [QUESTION, forgotten(ANSWER), QUESTION, forgotten(ANSWER)])

    assert recalled(filled) == [None, ANSWER["reasoning_content"], None, None]


async def test_of_very_long_conversations_the_oldest_turns_are_left_out_in_steps(vault, tenant) -> None:
    def conversation(turns: int) -> list[Message]:
        asked = [{"role": "user", "content": f"Question {number}"} for number in range(turns)]
        return [message for question in asked for message in (question, forgotten(ANSWER))]

    for number in (0, 511, 512, 1024):
        await vault.keep(tenant, [{"role": "user", "content": f"Question {number}"}], ANSWER)

    async def known(turns: int) -> list[int]:
        filled = recalled(await vault.fill(tenant, conversation(turns)))
        return [position // 2 for position, reasoning in enumerate(filled) if reasoning]

    assert await known(MOST_TURNS) == [0, 511, 512]
    assert await known(MOST_TURNS + 1) == await known(MOST_TURNS + 512) == [512, 1024]


async def test_long_conversations_are_filled_over_several_round_trips(vault, tenant) -> None:
    conversation: list[Message] = []
    for number in range(150):
        question = {"role": "user", "content": f"Question {number}"}
        answer = {"role": "assistant", "content": "Done.", "reasoning_content": f"Thought {number}"}
        await vault.keep(tenant, [*conversation, question], answer)
        conversation += [question, forgotten(answer)]

    filled = await vault.fill(tenant, conversation)

    assert recalled(filled)[1::2] == [f"Thought {number}" for number in range(150)]


@pytest.mark.parametrize(
    "answer",
    [
        forgotten(ANSWER),
        {**ANSWER, "reasoning_content": ""},
        {**ANSWER, "reasoning_content": None},
        {**ANSWER, "reasoning_content": 7},
        {**ANSWER, "content": None},
        {**ANSWER, "reasoning_content": "堰" * 40},
    ],
)
async def test_nothing_is_kept_of_what_has_no_reasoning_no_key_or_no_measure(valkey, tenant, answer) -> None:
    await ReasoningVault(valkey, VaultOptions(most_bytes=100)).keep(tenant, [QUESTION], answer)

    assert await keys_of(valkey, tenant) == []


async def test_use_prolongs_the_time_to_live(valkey, tenant) -> None:
    await ReasoningVault(valkey, VaultOptions(ttl_seconds=60)).keep(tenant, [QUESTION], ANSWER)
    (key,) = await keys_of(valkey, tenant)
    assert 0 < await ttl_of(valkey, key) <= 60

    await ReasoningVault(valkey, VaultOptions(ttl_seconds=600)).fill(tenant, [QUESTION, forgotten(ANSWER)])

    assert 60 < await ttl_of(valkey, key) <= 600


async def test_a_vault_without_time_keeps_and_knows_nothing(valkey, vault, tenant) -> None:
    closed = ReasoningVault(valkey, VaultOptions(ttl_seconds=0))
    messages = [QUESTION, forgotten(ANSWER)]

    await closed.keep(tenant, [QUESTION], ANSWER)
    assert await keys_of(valkey, tenant) == []
    await vault.keep(tenant, [QUESTION], ANSWER)
    assert await closed.fill(tenant, messages) is messages


@pytest.fixture
async def gone() -> AsyncIterator[Valkey]:
    nobody = Valkey("redis://127.0.0.1:1", cluster=False, timeout_ms=50)
    yield nobody
    await nobody.close()


async def test_without_valkey_nothing_is_remembered_and_nothing_fails(gone) -> None:
    vault, messages = ReasoningVault(gone), [QUESTION, forgotten(ANSWER)]

    await vault.keep("tenant", [QUESTION], ANSWER)

    assert await vault.fill("tenant", messages) is messages
