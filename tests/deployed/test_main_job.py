"""From outside, through the deployed API, queues and schedule: the work that Weir is for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import openai
import psycopg
import pytest

from local.components.models import CHAT_MODEL
from tests.deployed.conftest import DatabaseUrls
from tests.deployed.stack import Stack
from tests.integration.scraping_site import Site

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
async def expired_file_id(sdk: openai.AsyncOpenAI, databases: DatabaseUrls) -> str:
    """A file past its time. Made before all else: cleanup runs once a minute."""
    file = await sdk.files.create(
        file=("old.md", TEXT), purpose="assistants", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    async with await psycopg.AsyncConnection.connect(databases.owner) as owner:
        await owner.execute(
            "UPDATE files SET expires_at = now() - interval '1 minute' WHERE file_id = %s", (file.id,)
        )
    return file.id


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


async def test_cleanup_runs_by_its_schedule(sdk: openai.AsyncOpenAI, expired_file_id: str) -> None:
    async def gone() -> bool:
        try:
            await sdk.files.retrieve(expired_file_id)
        except openai.NotFoundError:
            return True
        return False

    await until(gone)
