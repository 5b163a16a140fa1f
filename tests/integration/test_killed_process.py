"""A chat process is killed in mid-answer, and its client reads the rest from another one.

`tests/faults` has the same, and more, without the help for the lease.
"""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from redis.asyncio import Redis

from shared.limits.keys import NewKey, create_key
from tests.contract.upstream import StreamReply, Upstream, running_upstream
from tests.integration.chat_process import (
    CHUNKS,
    PIECES,
    ChatProcess,
    Client,
    Surroundings,
    read_some,
    start_chat,
)

RESUMABLE = {"weir": {"resumable": True}}


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with running_upstream() as running:
        yield running


@pytest.fixture
async def chats(
    launcher, local_cloud, database_url, valkey_url, queues, upstream, tmp_path
) -> AsyncIterator[list[ChatProcess]]:
    surroundings = Surroundings(
        cloud=local_cloud.environment,
        database_url=database_url,
        valkey_url=valkey_url,
        usage_queue_url=queues.usage,
        upstream_url=upstream.url,
    )
    environment = surroundings.environment(tmp_path)
    running = await asyncio.gather(*(start_chat(launcher, environment, name=f"chat-{n}") for n in "12"))
    yield running
    await asyncio.gather(*(process.child.stop(grace=5) for process in running))


@pytest.fixture
async def key(database, tenant_id) -> str:
    async with database.tenant(tenant_id) as connection:
        return (await create_key(connection, NewKey(tenant_id=tenant_id, name="test"))).plaintext


async def end_lease(valkey_url: str, answer_id: str) -> None:
    """What happens ten seconds after the maker's last sign of life, now."""
    async with Redis.from_url(valkey_url) as valkey:
        # Whatever the maker had sent before its end is carried out before this search is.
        (lease,) = [name async for name in valkey.scan_iter(f"lease:*:{answer_id}")]
        await valkey.delete(lease)


async def test_the_client_of_a_killed_process_reads_on_from_another(chats, upstream, key, valkey_url) -> None:
    never = asyncio.Event()
    half = b"".join(PIECES[:6])
    upstream.replies = [StreamReply(PIECES), StreamReply([half, b": never\n\n"], never), StreamReply(PIECES)]
    async with aiohttp.ClientSession() as session:
        dying, other = (Client(session, process, key) for process in chats)
        unbroken = await dying.stream("What is a weir?", **RESUMABLE)
        async with dying.post("What is a dam?", stream=True, **RESUMABLE) as answer:
            begun = await read_some(answer, events=6)
            await chats[0].kill()
            answer_id = answer.headers["x-request-id"]
        await end_lease(valkey_url, answer_id)
        rest = await other.rest(answer_id, begun)

    assert begun.count(b"data: ") == 6
    assert unbroken.count(b"data: ") == len(CHUNKS) + 1
    assert begun + rest == unbroken
    assert len(upstream.requests) == 3
