"""Small documents through the real queue while a tenth of the work goes wrong: worker processes killed at
random, messages delivered twice, embeddings that fail, and PostgreSQL stopped and started again.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cleanup.stuck import resend_files
from local.components.cloud import Cloud
from local.components.postgres import start_postgres
from local.components.storage import QueueUrls
from local.process import Launcher, Program
from shared.aws.clients import call, client
from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.knowledge.messages import IngestFile
from shared.knowledge.search import SearchQuery, search
from shared.postgres.database import Database
from tests.faults.crew import Crew
from tests.faults.failing_embeddings import (
    CATALOG,
    DIMENSIONS,
    MODEL,
    REFUSED,
    FailingEmbeddings,
    Letters,
    failing_embeddings,
)
from tests.faults.test_postgres import PostgresServer
from tests.integration.knowledge_world import World

DOCUMENTS = int(os.environ.get("WEIR_FAULT_DOCUMENTS", "10000"))
SECONDS = 120 + DOCUMENTS / 5

_TENANT = "tenant"
_WORKERS = 3
_UPLOADS_AT_ONCE = 8

# So many documents are embedded between two deaths, at least and at most. What a worker has in hand when it
# dies loses one of its four tries. Closer together, some would lose all, and fail as they should.
_APART = (100, 300)
_IN_HAND = 4

# One message in so many comes twice.
_TWICE = 10

# Seconds after which what a dead worker held comes back: its messages, and its leases.
_HIDDEN, _LEASE = 10, 3

# After so long cleanup takes it that nobody is at a job.
_SILENCE = timedelta(seconds=5)


@pytest.fixture
async def postgres(data: Path, tmp_path: Path) -> AsyncIterator[PostgresServer]:
    async with Launcher(tmp_path / "postgres-logs") as running:
        urls = await start_postgres(data / "ingestion-postgres", running, durable=False)
        (child,) = running.children
        yield PostgresServer(urls, running, child)


@pytest.fixture
async def world(postgres: PostgresServer) -> AsyncIterator[World]:
    async with opened(postgres.urls.login, pool_size=1) as made:
        await made.rows("INSERT INTO tenants (tenant_id, name) VALUES (%s, 'test') RETURNING 1", _TENANT)
        yield made


@asynccontextmanager
async def opened(url: str, *, pool_size: int) -> AsyncIterator[World]:
    """The tenant by connections of its own; a busy machine must not pass for a database that is gone."""
    database = Database(url, pool_size=pool_size, connect_timeout=30)
    await database.open()
    yield World(database, _TENANT)
    await database.close()


@pytest.fixture
async def embeddings() -> AsyncIterator[FailingEmbeddings]:
    async with failing_embeddings() as running:
        yield running


@pytest.fixture
async def queue(queues: QueueUrls) -> Queue:
    attributes = {"VisibilityTimeout": str(_HIDDEN)}
    await call(client("sqs").set_queue_attributes, QueueUrl=queues.ingestion, Attributes=attributes)
    return Queue(queues.ingestion)


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """Where workers have their local copies."""
    made = tmp_path / "copies"
    made.mkdir()
    return made


@pytest.fixture
async def crew(
    local_cloud: Cloud,
    postgres: PostgresServer,
    objects: Objects,
    queues: QueueUrls,
    queue: Queue,
    embeddings: FailingEmbeddings,
    copies: Path,
    tmp_path: Path,
) -> AsyncIterator[Crew]:
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(CATALOG.format(url=embeddings.url))
    program = Program(
        name="worker",
        argv=[sys.executable, "-m", "local.servers.worker", "ingestion", queue.url],
        environment={
            **local_cloud.environment,
            "PYTHONPATH": f"functions{os.pathsep}.",
            "WEIR_DATABASE_SECRET": "env:INGESTION_DATABASE_URL",
            "INGESTION_DATABASE_URL": postgres.urls.login,
            "WEIR_BUCKET": objects.bucket,
            "WEIR_CATALOG": str(catalog),
            "WEIR_INGESTION_QUEUE_URL": queue.url,
            "WEIR_USAGE_QUEUE_URL": queues.usage,
            "WEIR_INGESTION_LEASE_SECONDS": str(_LEASE),
            "WEIR_LOG_LEVEL": "ERROR",
            "TMPDIR": str(copies),
        },
    )
    async with Launcher(tmp_path / "workers") as launcher:
        yield Crew(launcher, program, size=_WORKERS, seed=5)


async def upload(url: str, objects: Objects, store: str) -> list[IngestFile]:
    """A job for each document, whose bytes are in S3."""
    places = asyncio.Semaphore(_UPLOADS_AT_ONCE)

    async def one(world: World, number: int) -> IngestFile:
        async with places:
            file = await world.new_file("a.md")
            await world.attach(store, file)
            text = f"This is document number {number}."
            await objects.put(f"{_TENANT}/files/{file}/a.md", text.encode(), "text/markdown")
            return IngestFile(tenant_id=_TENANT, vector_store_id=store, file_id=file)

    async with opened(url, pool_size=_UPLOADS_AT_ONCE) as world:
        return list(await asyncio.gather(*(one(world, number) for number in range(DOCUMENTS))))


def some_twice(jobs: Sequence[IngestFile]) -> list[IngestFile]:
    """The same jobs, some of them twice at once: they are in one batch, or with two workers."""
    return [job for place, job in enumerate(jobs) for _ in range(1 if place % _TWICE else 2)]


@asynccontextmanager
async def dying(crew: Crew, embeddings: FailingEmbeddings) -> AsyncIterator[None]:
    """Workers are killed in the meantime."""
    killing = asyncio.create_task(crew.kill_now_and_then(embeddings.more, _APART))
    try:
        yield
    finally:
        killing.cancel()
        await asyncio.wait([killing])
    assert killing.cancelled(), killing.exception()


async def until_completed(world: World, queue: Queue, crew: Crew, count: int) -> None:
    """Wait for so many, while cleanup sends again what the queue gave up on: here after seconds."""
    async with asyncio.timeout(SECONDS):
        while (counts := await counted(world, "status")).get("completed", 0) < count:
            assert counts.keys() <= {"completed", "in_progress"}, counts
            await crew.check()
            # Before, a job that has been silent for so long may only be waiting for its turn.
            if await is_empty(queue):
                await resend_files(world.database, queue, _TENANT, idle=_SILENCE, limit=500)
            await asyncio.sleep(0.5)


async def until_drained(queue: Queue) -> None:
    """Wait until each message that is left was taken: also those that come after their work was done."""
    async with asyncio.timeout(SECONDS):
        while not await is_empty(queue):  # noqa: ASYNC110 - a queue has no event for it
            await asyncio.sleep(0.5)


async def is_empty(queue: Queue) -> bool:
    """Whether the queue has no message, and no worker has one."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = await call(client("sqs").get_queue_attributes, QueueUrl=queue.url, AttributeNames=names)
    return not any(int(answer["Attributes"][name]) for name in names)


def left_in(directory: Path) -> int:
    return len(list(directory.iterdir()))


async def counted(world: World, column: str) -> dict[Any, int]:
    """How many jobs have which value."""
    rows = await world.rows(
        f"SELECT {column} AS value, count(*) AS n FROM vector_store_files GROUP BY 1 ORDER BY 1"
    )
    return {row["value"]: row["n"] for row in rows}


async def found(world: World, store: str, number: int) -> list[str]:
    """What a search for a document's number finds of it."""
    query = SearchQuery(vector_store_ids=(store,), text=f"document number {number}", max_results=50)
    passages = await search(world.database, Letters(), _TENANT, query)
    return [passage.text for passage in passages if passage.text == f"This is document number {number}."]


@pytest.mark.timeout(3 * SECONDS + 300)
async def test_every_document_is_there_once_and_none_is_stuck(
    world: World,
    objects: Objects,
    queue: Queue,
    crew: Crew,
    embeddings: FailingEmbeddings,
    copies: Path,
    postgres: PostgresServer,
    figure: Callable[[str], None],
) -> None:
    store = await world.new_store(model=MODEL, dimensions=DIMENSIONS)
    jobs = some_twice(await upload(postgres.urls.login, objects, store))
    await queue.send(jobs)
    began = time.monotonic()
    await crew.start()
    async with dying(crew, embeddings):
        await until_completed(world, queue, crew, DOCUMENTS // 3)
        await postgres.stop()
        await postgres.start_again()
        await until_completed(world, queue, crew, DOCUMENTS)
    seconds = time.monotonic() - began
    await until_drained(queue)
    await crew.stop()

    figure(
        f"{DOCUMENTS} documents in {seconds:.0f} s, {crew.killed} workers killed, PostgreSQL started again,"
        f" {len(jobs) - DOCUMENTS} messages twice, {embeddings.refused.total()} calls for embeddings refused;"
        f" documents by the tries that they took: {await counted(world, 'attempts')}"
    )
    assert crew.killed >= DOCUMENTS // _APART[1]
    # Those of the last that died, at most.
    assert left_in(copies) <= _WORKERS * _IN_HAND
    assert len(embeddings.refused) == len(range(0, DOCUMENTS, REFUSED))
    assert await counted(world, "status") == {"completed": DOCUMENTS}
    assert await counted(world, "lease_id") == {None: DOCUMENTS}
    (row,) = await world.rows(
        "SELECT count(*) AS n, count(DISTINCT file_id) AS files, count(DISTINCT text) AS texts FROM chunks"
    )
    assert (row["n"], row["files"], row["texts"]) == (DOCUMENTS, DOCUMENTS, DOCUMENTS)
    (row,) = await world.rows(f"SELECT count(*) AS n FROM chunk_embeddings_{DIMENSIONS}")
    assert row["n"] == DOCUMENTS
    assert (await world.statistics(store))[0] == DOCUMENTS
    for number in range(0, DOCUMENTS, max(1, DOCUMENTS // 200)):
        assert len(await found(world, store, number)) == 1, number
