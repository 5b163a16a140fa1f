"""Pages recorded together, beside somebody who has the same files in hand."""

import asyncio
from datetime import UTC, datetime

from shared.files.models import NewFile
from shared.files.records import create_files
from shared.knowledge.store_files import attach_file
from shared.postgres.database import Database
from tests.integration.knowledge_world import World

# By URL the other way round than by id.
URLS = ("https://example.com/z", "https://example.com/a")


def page(tenant_id: str, url: str) -> NewFile:
    return NewFile(
        tenant_id=tenant_id,
        filename="page.md",
        purpose="assistants",
        media_type="text/markdown",
        bytes=1,
        source_url=url,
    )


async def test_files_are_taken_in_one_order(database: Database, tenant_id: str) -> None:
    world = World(database, tenant_id)
    store = await world.new_store()
    first, second = [await record(database, tenant_id, url) for url in URLS]
    assert first < second

    async with database.tenant(tenant_id) as user:
        await attach_file(user, tenant_id=tenant_id, vector_store_id=store, file_id=first)
        crawl = asyncio.create_task(record(database, tenant_id, *URLS))
        waiting = "SELECT count(*) AS n FROM pg_locks WHERE NOT granted"
        while not (row := await (await user.execute(waiting)).fetchone()) or not row["n"]:
            assert not crawl.done(), "the crawl has to wait for the file that the user has"
        await attach_file(user, tenant_id=tenant_id, vector_store_id=store, file_id=second)
    assert await crawl == first


async def record(database: Database, tenant_id: str, *urls: str) -> str:
    """Record the pages together; the id of the first."""
    async with database.tenant(tenant_id) as connection:
        pages = [page(tenant_id, url) for url in urls]
        return (await create_files(connection, pages, datetime.now(UTC)))[0].file_id
