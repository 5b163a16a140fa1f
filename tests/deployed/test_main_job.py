"""From outside, through the deployed API, queues and schedule: the work that Weir is for."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import openai
import psycopg
import pytest

from local.components.models import CHAT_MODEL
from tests.deployed.conftest import TENANT, DatabaseUrls
from tests.deployed.stack import Stack, aws
from tests.integration.batch_world import chat_line, jsonl
from tests.integration.scraping_site import Site
from tests.integration.websocket_world import Client

# The first test waits for the build and the deployment.
pytestmark = pytest.mark.timeout(600)

TEXT = b"# Lighthouse\n\nThe keeper of the lighthouse is called Ottoline. She paints the tower every year.\n"

# Seconds between two looks at what functions work on.
LOOK_AGAIN = 0.2


@pytest.fixture(scope="module")
async def sdk(stack: Stack, admin_key: str) -> AsyncIterator[openai.AsyncOpenAI]:
    """The SDK with a member's key that the API has issued."""
    async with stack.sdk(admin_key) as admin:
        issued: Any = await admin.post("/keys", body={"name": "member"}, cast_to=object)
    async with stack.sdk(issued["key"]) as member:
        yield member


@pytest.fixture(scope="module")
async def store_id(sdk: openai.AsyncOpenAI) -> str:
    return (await sdk.vector_stores.create(name="lighthouses")).id


@pytest.fixture(scope="module", autouse=True)
async def expired_file_id(stack: Stack, sdk: openai.AsyncOpenAI, databases: DatabaseUrls) -> str:
    """A file past its time. Made before all else: cleanup runs once a minute."""
    file = await sdk.files.create(
        file=("old.md", TEXT), purpose="assistants", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert kept(stack, file.id)
    async with await psycopg.AsyncConnection.connect(databases.owner) as owner:
        await owner.execute(
            "UPDATE files SET expires_at = now() - interval '1 minute' WHERE file_id = %s", (file.id,)
        )
    return file.id


def kept(stack: Stack, file_id: str) -> bool:
    """Whether the bucket has a file's object."""
    found = aws(stack.cloud, "s3").list_objects_v2(
        Bucket=stack.resources["Bucket"], Prefix=f"{TENANT}/files/{file_id}/"
    )
    return bool(found["KeyCount"])


async def until(met: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something that functions work on is so; the test's own timeout bounds it."""
    while not await met():  # noqa: ASYNC110 - other processes work
        await asyncio.sleep(LOOK_AGAIN)


async def test_an_uploaded_file_becomes_searchable(sdk: openai.AsyncOpenAI, store_id: str) -> None:
    file = await sdk.files.create(file=("lighthouse.md", TEXT), purpose="assistants")
    attached = await sdk.vector_stores.files.create_and_poll(
        file_id=file.id, vector_store_id=store_id, poll_interval_ms=100
    )
    assert attached.status == "completed", attached.last_error
    found = await sdk.vector_stores.search(store_id, query="Who keeps the lighthouse?")
    assert found.data[0].file_id == file.id
    assert "Ottoline" in found.data[0].content[0].text


async def test_chat_answers_and_is_booked(sdk: openai.AsyncOpenAI, databases: DatabaseUrls) -> None:
    answer = await sdk.chat.completions.create(
        model=CHAT_MODEL, messages=[{"role": "user", "content": "Say hello."}], max_tokens=8
    )
    assert answer.choices[0].message.content
    assert answer.usage is not None

    async def booked() -> bool:
        async with await psycopg.AsyncConnection.connect(databases.owner) as owner:
            cursor = await owner.execute(
                "SELECT sum(completion_tokens) FROM usage_records WHERE endpoint = '/v1/chat/completions'"
            )
            row = await cursor.fetchone()
        assert answer.usage is not None
        return row is not None and row[0] == answer.usage.completion_tokens

    await until(booked)


async def test_a_site_is_scraped_into_the_store(sdk: openai.AsyncOpenAI, store_id: str, site: Site) -> None:
    request = {"url": f"{site.url}/", "vector_store_id": store_id, "depth": 1}
    scrape: Any = await sdk.post("/scrapes", body=request, cast_to=object)

    async def finished() -> bool:
        nonlocal scrape
        scrape = await sdk.get(f"/scrapes/{scrape['id']}", cast_to=object)
        return scrape["status"] not in ("queued", "running")

    await until(finished)
    assert scrape["status"] == "completed"
    assert scrape["page_counts"]["completed"] == 2, scrape

    async def ingested() -> bool:
        return (await sdk.vector_stores.retrieve(store_id)).file_counts.in_progress == 0

    await until(ingested)
    found = await sdk.vector_stores.search(store_id, query="lamps of the harbour")
    assert any("Lamps of the harbour" in page.content[0].text for page in found.data)


async def test_a_batch_is_worked_off(sdk: openai.AsyncOpenAI) -> None:
    lines = jsonl(
        *(chat_line(name, f"Say {name}.", model=CHAT_MODEL, max_tokens=8) for name in "ab"), "no JSON"
    )
    file = await sdk.files.create(file=("batch.jsonl", lines), purpose="batch")
    batch = await sdk.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )

    async def ended() -> bool:
        nonlocal batch
        batch = await sdk.batches.retrieve(batch.id)
        return batch.status in ("completed", "failed", "expired", "cancelled")

    await until(ended)
    assert batch.status == "completed", batch.errors
    assert batch.request_counts is not None
    assert (batch.request_counts.completed, batch.request_counts.failed) == (2, 1)
    output = await lines_of(sdk, batch.output_file_id)
    assert [line["custom_id"] for line in output] == ["a", "b"]
    assert all(line["response"]["body"]["choices"][0]["message"]["content"] for line in output)
    (error,) = await lines_of(sdk, batch.error_file_id)
    assert "JSON" in error["error"]["message"]


async def lines_of(sdk: openai.AsyncOpenAI, file_id: str | None) -> list[Any]:
    """A file of results."""
    assert file_id is not None
    return [json.loads(line) for line in (await sdk.files.content(file_id)).text.splitlines()]


async def test_a_websocket_turn_is_answered(stack: Stack, sdk: openai.AsyncOpenAI) -> None:
    ticket: Any = await sdk.post("/tickets", cast_to=object)
    assert ticket["url"] == stack.outputs["WebSocketUrl"]
    async with connected(stack, f"weir.ticket.{ticket['ticket']}") as client:
        await client.send(type="ping")
        await client.until_frame("pong")
        await client.chat("turn", "Say hello.", model=CHAT_MODEL, max_tokens=8)
        await client.until(lambda: bool(client.of("done") or client.of("error")))
    assert client.of("error") == []
    assert client.of("started", "turn")
    events = client.events("turn")
    assert [event_id for event_id, _ in events] == list(range(1, len(events) + 1))
    assert "".join(
        chunk["choices"][0]["delta"].get("content") or "" for _, chunk in events if chunk["choices"]
    )


async def test_a_ticket_lets_nobody_in_twice(stack: Stack, sdk: openai.AsyncOpenAI) -> None:
    ticket: Any = await sdk.post("/tickets", cast_to=object)
    async with connected(stack, f"weir.ticket.{ticket['ticket']}"):
        pass
    with pytest.raises(aiohttp.WSServerHandshakeError):
        async with connected(stack, f"weir.ticket.{ticket['ticket']}"):
            pass


@asynccontextmanager
async def connected(stack: Stack, protocol: str) -> AsyncIterator[Client]:
    """A WebSocket client. The emulator does not tell it which of its subprotocols was chosen."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(stack.websocket_url, protocols=("weir", protocol), ssl=stack.trusted) as socket,
    ):
        yield Client(socket, patience=120)


async def test_cleanup_runs_by_its_schedule(
    stack: Stack, sdk: openai.AsyncOpenAI, expired_file_id: str
) -> None:
    """No test calls it."""

    async def gone() -> bool:
        try:
            await sdk.files.retrieve(expired_file_id)
        except openai.NotFoundError:
            return True
        return False

    async def unkept() -> bool:
        return not kept(stack, expired_file_id)

    await until(gone)
    await until(unkept)
