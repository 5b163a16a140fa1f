"""WebSocket turns end to end: real processes, real stores, a provider that the test holds."""

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from redis.asyncio import Redis

from local.components.cloud import Cloud
from local.components.storage import Deployment, QueueUrls
from local.process import Launcher
from shared.aws.queues import Queue
from shared.limits.caller import key_hash
from shared.limits.keys import NewKey, create_key
from shared.postgres.database import Database
from shared.valkey.client import Valkey
from shared.websocket.tickets import Tickets
from shared.websocket.turn import Turn, answer_id_of
from tests.contract.upstream import Reply, StreamReply, Upstream, as_events, running_upstream, transcript
from tests.integration.chat_process import Surroundings
from tests.integration.websocket_world import Client, Live, start_live

CHUNKS = [chunk for chunk in transcript("openai-text") if chunk["choices"]]
PIECES = [as_events([chunk], done=chunk is CHUNKS[-1]) for chunk in CHUNKS]


@dataclass(frozen=True)
class World:
    """A WebSocket API, and what it stands on."""

    live: Live
    upstream: Upstream
    queues: QueueUrls


Start = Callable[[], AbstractAsyncContextManager[World]]


@pytest.fixture(scope="module")
def start(
    aws: None, local_cloud: Cloud, deployment: Deployment, database_url: str, valkey_url: str, data: Path
) -> Start:
    """Starts a WebSocket API without workers, over a queue of its own."""

    @asynccontextmanager
    async def running() -> AsyncIterator[World]:
        name = f"ws-{uuid.uuid4().hex}"
        directory = data / name
        directory.mkdir()
        queues = await deployment.queues(name)
        async with running_upstream() as upstream, Launcher(directory / "logs") as launcher:
            surroundings = Surroundings(
                cloud=local_cloud.environment,
                database_url=database_url,
                valkey_url=valkey_url,
                usage_queue_url=queues.usage,
                upstream_url=upstream.url,
            )
            live = await start_live(launcher, surroundings.environment(directory), queues.turns)
            yield World(live, upstream, queues)

    return running


@pytest.fixture(scope="module")
async def world(start: Start) -> AsyncIterator[World]:
    """One with two workers, for all tests that kill none."""
    async with start() as running:
        await asyncio.gather(running.live.start_worker("turns"), running.live.start_worker("turns-too"))
        yield running


@pytest.fixture
def live(world: World) -> Live:
    return world.live


@pytest.fixture
def upstream(world: World) -> Upstream:
    """Says the same to everybody, until the test has it say something else."""
    world.upstream.replies = [StreamReply(PIECES)]
    world.upstream.requests.clear()
    world.upstream.gone.clear()
    return world.upstream


@pytest.fixture
async def key(database: Database, tenant_id: str) -> str:
    async with database.tenant(tenant_id) as connection:
        return (await create_key(connection, NewKey(tenant_id=tenant_id, name="test"))).plaintext


@pytest.fixture
async def client(live: Live, upstream: Upstream, key: str) -> AsyncIterator[Client]:
    async with live.connect(f"weir.key.{key}") as connected:
        yield connected


async def test_a_turn_streams_every_event_once_and_in_order(client: Client) -> None:
    assert client.socket.protocol == "weir"
    await client.chat("one", "What is a weir?")
    await client.until_frame("done", "one")

    started = client.of("started", "one")[0]
    assert started["answer_id"].startswith("req_")
    assert started["headers"]["x-weir-provider"] == "loopback"
    assert client.events("one") == list(enumerate(CHUNKS, 1))


async def test_turns_of_one_connection_go_on_side_by_side(client: Client, upstream: Upstream) -> None:
    slow = asyncio.Event()
    upstream.replies = [StreamReply(PIECES, hold=slow), StreamReply(PIECES)]
    await client.chat("slow", "first")
    await client.until(lambda: len(client.events("slow")) == len(CHUNKS) - 1)
    await client.chat("quick", "second")
    await client.until_frame("done", "quick")
    assert not client.of("done", "slow")
    slow.set()
    await client.until_frame("done", "slow")
    assert client.events("slow") == client.events("quick") == list(enumerate(CHUNKS, 1))


async def test_a_whole_answer_is_one_frame(client: Client, upstream: Upstream) -> None:
    message = {"role": "assistant", "content": "A low dam."}
    answer = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "test-model",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4},
    }
    upstream.replies = [Reply(answer)]
    await client.chat("whole", "What is a weir?", stream=False)
    await client.until_frame("done", "whole")
    assert client.of("answer", "whole")[0]["data"]["choices"][0]["message"]["content"] == "A low dam."


async def test_what_is_wrong_is_told_and_the_connection_goes_on(client: Client) -> None:
    await client.socket.send_str("{")
    assert (await client.until_frame("error"))["error"]["type"] == "invalid_request_error"
    await client.chat("bad", "hi", model="unknown-model")
    assert (await client.until_frame("error", "bad"))["error"]["code"] == "model_not_found"
    await client.chat("one", "What is a weir?")
    await client.until_frame("done", "one")
    await client.chat("one", "Again?")
    assert "choose another" in (await client.until_frame("error", "one"))["error"]["message"]
    await client.send(type="ping")
    await client.until_frame("pong")


async def test_a_connection_has_so_many_turns_at_once(client: Client, upstream: Upstream) -> None:
    hold = asyncio.Event()
    upstream.replies = [StreamReply(PIECES, hold=hold)]
    for number in range(3):
        await client.chat(f"t{number}", f"question {number}")
    await client.chat("one-too-many", "question")
    refused = await client.until_frame("error", "one-too-many")
    assert refused["error"]["code"] == "rate_limit_exceeded"
    hold.set()
    await client.until(lambda: len(client.of("done")) == 3)


async def test_cancel_ends_the_upstream_call(client: Client, upstream: Upstream) -> None:
    upstream.replies = [StreamReply(PIECES, hold=asyncio.Event())]
    await client.chat("one", "What is a weir?")
    await client.until_frame("events", "one")
    await client.send(type="cancel", id="one")
    assert (await client.until_frame("error", "one"))["error"]["code"] == "cancelled"
    async with asyncio.timeout(10):
        await upstream.gone.wait()


async def test_who_leaves_ends_the_upstream_call(live: Live, key: str, upstream: Upstream) -> None:
    upstream.replies = [StreamReply(PIECES, hold=asyncio.Event())]
    async with live.connect(f"weir.key.{key}") as client:
        await client.chat("one", "What is a weir?")
        await client.until_frame("events", "one")
    async with asyncio.timeout(10):
        await upstream.gone.wait()


async def test_who_comes_back_gets_the_rest(live: Live, key: str, upstream: Upstream) -> None:
    hold = asyncio.Event()
    upstream.replies = [StreamReply(PIECES, hold=hold)]
    async with live.connect(f"weir.key.{key}") as client:
        await client.chat("one", "What is a weir?", weir={"resumable": True})
        await client.until(lambda: len(client.events("one")) >= 2)
        answer_id = client.of("started", "one")[0]["answer_id"]
    async with live.connect(f"weir.key.{key}") as client:
        await client.send(type="resume", id="rest", answer_id=answer_id, after=2)
        await client.until_frame("events", "rest")
        hold.set()
        await client.until_frame("done", "rest")
        assert client.events("rest") == list(enumerate(CHUNKS, 1))[2:]


async def test_a_ticket_is_good_once(live: Live, upstream: Upstream, key: str, valkey_url: str) -> None:
    valkey = Valkey(valkey_url, cluster=False, timeout_ms=2000)
    protocol = f"weir.ticket.{await Tickets(valkey).issue(key_hash(key))}"
    await valkey.close()
    async with live.connect(protocol) as client:
        await client.chat("one", "What is a weir?")
        await client.until_frame("done", "one")
    with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
        async with live.connect(protocol):
            raise AssertionError("not reached")


async def test_strangers_do_not_come_in(live: Live) -> None:
    for protocols in ((), ("weir.key.nobodys",)):
        with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
            async with live.connect(*protocols):
                raise AssertionError("not reached")


async def test_a_turn_that_is_delivered_twice_streams_once(
    world: World, client: Client, upstream: Upstream, key: str, valkey_url: str
) -> None:
    """It comes again while a worker answers it, and once more after its end."""
    hold = asyncio.Event()
    upstream.replies = [StreamReply(PIECES, hold=hold), StreamReply(PIECES)]
    turn_id = f"turn-{uuid.uuid4().hex}"
    await client.chat(turn_id, "What is a weir?")
    await client.until_frame("events", turn_id)
    body = {
        "model": "test-model",
        "messages": [{"role": "user", "content": "What is a weir?"}],
        "stream": True,
    }
    connection_id = await _connection_of(turn_id, valkey_url)
    turn = Turn(
        kind="chat",
        connection_id=connection_id,
        turn_id=turn_id,
        key_hash=key_hash(key).hex(),
        answer_id=answer_id_of(connection_id, turn_id),
        body=body,
    )
    await Queue(world.queues.turns).send([turn, turn])
    hold.set()
    await client.until_frame("done", turn_id)
    await Queue(world.queues.turns).send([turn])
    await client.chat("two", "Another question")
    await client.until_frame("done", "two")
    assert client.events(turn_id) == list(enumerate(CHUNKS, 1))
    assert len(client.of("started", turn_id)) == len(client.of("done", turn_id)) == 1
    assert len(upstream.requests) == 2


async def _connection_of(turn_id: str, valkey_url: str) -> str:
    async with Redis.from_url(valkey_url) as valkey:
        (name,) = [name async for name in valkey.scan_iter(f"ws:*:turn:{turn_id}")]
    return str(name.decode().removeprefix("ws:{").partition("}")[0])


async def test_another_worker_goes_on_where_one_died(start: Start, key: str) -> None:
    async with start() as world:
        upstream, worker = world.upstream, await world.live.start_worker("turns")
        upstream.replies = [StreamReply(PIECES, hold=asyncio.Event()), StreamReply(PIECES)]
        async with world.live.connect(f"weir.key.{key}") as client:
            await client.chat("one", "What is a weir?", weir={"resumable": True})
            await client.until(lambda: len(client.events("one")) >= len(CHUNKS) - 1)
            os.kill(worker.pid, signal.SIGKILL)
            await worker.end
            await world.live.start_worker("turns-too")
            await client.until_frame("done", "one")
    # What came just before may come again: an id that is known is left out.
    said = dict(client.events("one"))
    assert list(said) == list(range(1, len(CHUNKS) + 1))
    assert [_text(chunk) for chunk in said.values()] == [_text(chunk) for chunk in CHUNKS]


def _text(chunk: dict[str, object]) -> str:
    choices = chunk["choices"]
    assert isinstance(choices, list)
    return "".join(choice["delta"].get("content") or "" for choice in choices)
