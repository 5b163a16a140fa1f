"""Small documents through the real queue while a tenth of the work goes wrong: workers killed in the middle,
messages delivered twice, embeddings that fail, and PostgreSQL stopped and started again.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from cleanup.stuck import resend_files
from local.components.postgres import start_postgres
from local.components.storage import QueueUrls
from local.process import Launcher
from shared.aws.clients import call, client
from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.errors import UpstreamError
from shared.knowledge.means import IngestionLimits
from shared.knowledge.messages import IngestFile
from shared.postgres.database import Database
from tests.faults.test_postgres import PostgresServer
from tests.faults.waiting import until
from tests.integration.knowledge_world import World
from tests.integration.test_ingestion import Desk

DOCUMENTS = int(os.environ.get("WEIR_FAULT_DOCUMENTS", "10000"))
WORKERS = 8
LEASE = timedelta(seconds=2)
DIMENSIONS = 256


class Killed(BaseException):
    """What a worker that is killed does: nothing more, not even to give its job back."""


class Faulty:
    """Embeds by the letters of a text; of every ten documents one is killed or refused, once or twice."""

    def __init__(self) -> None:
        self.faults: Counter[str] = Counter()

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        for text in texts:
            number = int(text.rsplit("number ", 1)[1].rstrip("."))
            if number % 10 == 0 and self.faults[text] <= number % 3 // 2:
                self.faults[text] += 1
                raise Killed if number % 20 else UpstreamError("The provider did not answer.")
        return [_vector(text) for text in texts]


def _vector(text: str) -> list[float]:
    counts = Counter(text)
    return [float(counts[chr(code)]) for code in range(DIMENSIONS)]


@pytest.fixture
async def postgres(data: Path, tmp_path: Path) -> AsyncIterator[PostgresServer]:
    async with Launcher(tmp_path / "postgres-logs") as running:
        urls = await start_postgres(data / "ingestion-postgres", running, durable=False)
        (child,) = running.children
        yield PostgresServer(urls, running, child)


@pytest.fixture
async def desk(postgres: PostgresServer, objects: Objects, queues: QueueUrls) -> AsyncIterator[Desk]:
    database = Database(postgres.urls.login, pool_size=WORKERS)
    await database.open()
    yield Desk(World(database, "tenant"), objects, queues)
    await database.close()


async def work(desk: Desk, faulty: Faulty, finished: asyncio.Event) -> None:
    """Take messages until told to end; one that fails or dies comes back, one in ten comes twice at once."""
    worker = desk.new_worker(faulty, IngestionLimits(lease=LEASE))
    url, sqs = desk.queues.ingestion, client("sqs")
    while not finished.is_set():
        answer = await call(
            sqs.receive_message, QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=3, WaitTimeSeconds=1
        )
        for message in answer.get("Messages", []):
            times = 2 if hash(message["MessageId"]) % 10 == 0 else 1
            ends = await asyncio.gather(*(_handled(worker.handle(message["Body"])) for _ in range(times)))
            if all(ends):
                # Where the work took longer than the message was hidden, another has it now.
                with suppress(sqs.exceptions.ReceiptHandleIsInvalid):
                    await call(sqs.delete_message, QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


async def _handled(handling) -> bool:  # type: ignore[no-untyped-def]
    try:
        await handling
    except (Exception, Killed, BaseExceptionGroup):
        return False
    return True


@pytest.mark.timeout(300 + DOCUMENTS // 2)
async def test_every_document_is_there_once_and_none_is_stuck(desk: Desk, postgres: PostgresServer) -> None:
    world, faulty, finished = desk.world, Faulty(), asyncio.Event()
    await world.rows("INSERT INTO tenants (tenant_id, name) VALUES ('tenant', 'test') RETURNING 1")
    store = await world.new_store(dimensions=DIMENSIONS)
    jobs = []
    for number in range(DOCUMENTS):
        file = await desk.upload(
            "a.md", f"This is document number {number}.".encode(), store, status="uploaded"
        )
        jobs.append(IngestFile(tenant_id="tenant", vector_store_id=store, file_id=file))
    queue = Queue(desk.queues.ingestion)
    await queue.send(jobs)
    workers = [asyncio.create_task(work(desk, faulty, finished)) for _ in range(WORKERS)]

    async def completed(count: int) -> bool:
        # What the queue gave up on, as cleanup finds it; here after seconds instead of an hour.
        await resend_files(world.database, queue, "tenant", idle=timedelta(seconds=20), limit=500)
        (row,) = await world.rows("SELECT count(*) AS n FROM vector_store_files WHERE status = 'completed'")
        return int(row["n"]) >= count

    try:
        await until(lambda: completed(DOCUMENTS // 3), seconds=60 + DOCUMENTS / 5)
        await postgres.stop()
        await postgres.start_again()
        await until(lambda: completed(DOCUMENTS), seconds=60 + DOCUMENTS / 5)
    finally:
        finished.set()
        await asyncio.gather(*workers)
    (row,) = await world.rows("SELECT count(*) AS n, count(DISTINCT file_id) AS files FROM chunks")
    assert (row["n"], row["files"]) == (DOCUMENTS, DOCUMENTS)
    (row,) = await world.rows(f"SELECT count(*) AS n FROM chunk_embeddings_{DIMENSIONS}")
    assert row["n"] == DOCUMENTS
    assert (await world.statistics(store))[0] == DOCUMENTS
    assert len(faulty.faults) == len(range(0, DOCUMENTS, 10))
