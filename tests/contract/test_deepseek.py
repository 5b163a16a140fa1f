"""What DeepSeek is sent, by the row of Weir's own catalog."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from shared.providers.catalog import Catalog, Models
from shared.providers.load import load_catalog, load_credentials
from shared.providers.prefix import Said, continuation_body
from shared.providers.quirks import RECALLED
from shared.routing.route import chat_route
from shared.routing.router import Router
from tests.contract.upstream import Reply, StreamReply, Upstream, as_events, running_upstream, transcript

QUESTION = {"role": "user", "content": "How high is the river?"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "level", "arguments": "{}"}}
TURN = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "3 m"}
TOOL = {"type": "function", "function": {"name": "level", "parameters": {"type": "object"}}}
ANSWER = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "3 m"}}], "usage": {}}
CHAT = "/chat/completions"


@dataclass(frozen=True)
class World:
    """DeepSeek's row, answered by `deepseek`, which falls back to OpenAI's, answered by `openai`."""

    deepseek: Upstream
    openai: Upstream
    models: Models
    router: Router

    async def send(self, **fields: Any) -> None:
        body = {"model": "deepseek-flash", "messages": [QUESTION], **fields}
        route = chat_route(self.models, "deepseek-flash", ("gpt-6-luna",))
        await self.router.send(route, CHAT, body, tenant_id="tenant", deadline=time.monotonic() + 5)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running_upstream() as deepseek, running_upstream() as openai:
        own = await load_catalog("")
        urls = {
            "deepseek": {
                "base_url": deepseek.url,
                "prefix_base_url": f"{deepseek.url}/beta",
                "secret": "none",
            },
            "openai": {"base_url": openai.url, "secret": "none"},
        }
        rows = tuple(row.model_copy(update=urls[row.name]) for row in own.providers if row.name in urls)
        catalog = Catalog(providers=rows)
        router = Router(await load_credentials(catalog, "none"))
        deepseek.replies = [Reply(ANSWER)]
        openai.replies = [Reply(ANSWER)]
        yield World(deepseek, openai, Models(catalog), router)
        await router.close()


async def test_a_turn_with_tools_goes_out_as_deepseek_wants_it(world) -> None:
    messages = [
        {"role": "developer", "content": "Be brief."},
        QUESTION,
        {**TURN, RECALLED: "Look it up."},
        RESULT,
    ]

    await world.send(messages=messages, tools=[TOOL], tool_choice="auto", max_completion_tokens=9, user="mo")

    (sent,) = world.deepseek.requests
    assert len(sent.pop("user_id")) == 64
    assert sent == {
        "model": "deepseek-flash",
        "messages": [
            {"role": "system", "content": "Be brief."},
            QUESTION,
            {**TURN, "reasoning_content": "Look it up."},
            RESULT,
        ],
        "tools": [TOOL],
        "max_tokens": 9,
    }


async def test_a_forced_call_is_asked_for_without_thinking(world) -> None:
    await world.send(tools=[TOOL], tool_choice="required")

    (sent,) = world.deepseek.requests
    assert (sent["tool_choice"], sent["thinking"]) == ("required", {"type": "disabled"})


async def test_who_stands_in_is_asked_in_its_own_dialect(world) -> None:
    world.deepseek.replies = [Reply({"error": {"message": "busy"}}, 503)]

    await world.send(
        messages=[QUESTION, {**TURN, RECALLED: "Look it up."}, RESULT],
        thinking={"type": "disabled"},
        max_tokens=9,
        user_id="mo",
    )

    (sent,) = world.openai.requests
    assert sent == {
        "model": "gpt-6-luna",
        "messages": [QUESTION, TURN, RESULT],
        "reasoning_effort": "none",
        "max_completion_tokens": 9,
    }


async def test_an_answer_that_broke_off_is_taken_up_at_the_beta_address(world) -> None:
    body = {"messages": [QUESTION], "stream": True, "tools": [TOOL], "tool_choice": "auto"}
    world.deepseek.replies = [StreamReply([as_events(transcript("deepseek-reasoning"))])]
    rest = continuation_body(body, Said(content="3 m", reasoning="Both say"))
    assert rest is not None

    deployment = world.models.chat("deepseek-flash")[0]
    going_on = await world.router.resume(deployment, rest, tenant_id="tenant", deadline=time.monotonic() + 5)
    async with going_on.resources:
        assert [event async for batch in going_on.events for event in batch]

    (sent,) = world.deepseek.requests
    assert world.deepseek.paths == ["/v1/beta/chat/completions"]
    assert sent["stream"] is True
    assert "tool_choice" not in sent
    begun = {"role": "assistant", "content": "3 m", "prefix": True, "reasoning_content": "Both say"}
    assert sent["messages"] == [QUESTION, begun]
