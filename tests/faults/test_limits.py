"""Two chat processes, one budget: no sum of requests at the same moment may go over it."""

import asyncio
import itertools

import pytest

from tests.contract.upstream import Reply, Upstream
from tests.faults.accounts import all_booked
from tests.integration.chat_process import Client

PROMPT, COMPLETION = 9, 40
COST = PROMPT + 2 * COMPLETION
"""Micro-dollars of one answer: 1 and 2 a token."""

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "upstream-model",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "A low dam."}, "finish_reason": "stop"}
    ],
    "usage": {
        "prompt_tokens": PROMPT,
        "completion_tokens": COMPLETION,
        "total_tokens": PROMPT + COMPLETION,
    },
}
BUDGET = 2_000
"""Enough for 22 answers, and for six that are held at their most at a time."""


@pytest.fixture
async def chats(start_chats, upstream: Upstream):
    upstream.replies = [Reply(ANSWER)]
    return await start_chats(upstream.url)


async def burst(clients: list[Client], count: int, wave: int) -> list[tuple[int, str]]:
    """Status and id of so many requests at once, half of them to each process.

    All are different, in other waves too: the cache would answer again for nothing.
    """

    async def ask(number: int) -> tuple[int, str]:
        question = f"What is a weir? ({wave}.{number})"
        async with clients[number % 2].post(question, stream=False, max_tokens=COMPLETION) as answer:
            body = await answer.json()
            if answer.status != 200:
                assert answer.status == 429, body
                assert body["error"]["type"] == "insufficient_quota"
            return answer.status, answer.headers["x-request-id"]

    return await asyncio.gather(*(ask(number) for number in range(count)))


async def test_a_hundred_at_the_edge_of_a_budget(
    chats, session, new_key, upstream, accounting, database, tenant_id
) -> None:
    key = await new_key(budget_per_day=BUDGET)
    clients = [Client(session, chat, key) for chat in chats]
    answered: list[str] = []
    # What an answer did not use of what was held is free for the next: until nothing is left for any.
    waves = itertools.count()
    while granted := [name for status, name in await burst(clients, 100, next(waves)) if status == 200]:
        answered += granted
        assert len(answered) * COST <= BUDGET

    assert len(upstream.requests) == len(answered)
    # All of it was used, but for less than the most that one request may cost.
    assert BUDGET - len(answered) * COST < 500
    assert sorted(await all_booked(database, tenant_id, answered)) == sorted(answered)
    async with database.tenant(tenant_id) as connection:
        rows = await connection.execute("SELECT sum(cost_microdollars)::bigint AS cost FROM usage_records")
        (row,) = await rows.fetchall()
    assert row["cost"] == len(answered) * COST <= BUDGET
