"""Twenty identical requests at once, to two processes: one upstream call, and the same answer for all."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from shared.completion.assemble import Assembler
from tests.contract.upstream import Reply, StreamReply, Upstream
from tests.faults.accounts import all_booked
from tests.integration.chat_process import CHUNKS, PIECES, Client, read_some

HALF = [b"".join(PIECES[:6]), b"".join(PIECES[6:])]
COUNT = 20


@pytest.fixture
async def clients(start_chats, upstream: Upstream, session, new_key) -> AsyncIterator[list[Client]]:
    key = await new_key()
    return [Client(session, chat, key) for chat in await start_chats(upstream.url)]


def whole_answer() -> dict:
    assembler = Assembler()
    for chunk in CHUNKS:
        assembler.read(chunk)
    return assembler.whole()


async def test_streamed(clients, upstream, accounting, database, tenant_id) -> None:
    hold, begun = asyncio.Event(), asyncio.Barrier(COUNT + 1)
    upstream.replies = [StreamReply(HALF, hold=hold)]

    async def one(number: int) -> tuple[str, str, bytes]:
        async with clients[number % 2].post("What is a weir?", stream=True) as answer:
            # Everyone hears the first half before anybody says the second.
            first = await read_some(answer, events=6)
            await begun.wait()
            rest = await answer.read()
            return answer.headers["x-weir-cache"], answer.headers["x-request-id"], first + rest

    asking = [asyncio.create_task(one(number)) for number in range(COUNT)]
    await begun.wait()
    hold.set()
    outcomes, names, answers = zip(*await asyncio.gather(*asking), strict=True)

    assert sorted(outcomes) == ["joined"] * (COUNT - 1) + ["miss"]
    assert len(set(answers)) == 1
    assert answers[0].count(b"data: ") == len(CHUNKS) + 1
    assert len(upstream.requests) == 1
    assert sorted(await all_booked(database, tenant_id, names)) == sorted(names)


async def test_whole(clients, upstream, valkey_server, accounting, database, tenant_id) -> None:
    hold = asyncio.Event()
    upstream.replies = [Reply(whole_answer(), hold=hold)]

    async def one(number: int) -> tuple[str, str, bytes]:
        async with clients[number % 2].post("What is a weir?", stream=False) as answer:
            return answer.headers["x-weir-cache"], answer.headers["x-request-id"], await answer.read()

    asking = [asyncio.create_task(one(number)) for number in range(COUNT)]
    await valkey_server.until_readers(COUNT - 1)
    hold.set()
    outcomes, names, answers = zip(*await asyncio.gather(*asking), strict=True)

    assert sorted(outcomes) == ["joined"] * (COUNT - 1) + ["miss"]
    assert {json.loads(answer)["choices"][0]["message"]["content"] for answer in answers} == {
        whole_answer()["choices"][0]["message"]["content"]
    }
    assert len(upstream.requests) == 1
    assert sorted(await all_booked(database, tenant_id, names)) == sorted(names)
