"""The road of a file: bytes in S3, a job, passages; with real PostgreSQL, S3 and embedding model."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from ingestion.events import MalformedMessageError
from ingestion.worker import Worker
from local.components.storage import QueueUrls
from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.documents.pictures import Caption
from shared.errors import UpstreamError
from shared.files.keys import text_key
from shared.knowledge.deletion import delete_file
from shared.knowledge.embedder import Embedder
from shared.knowledge.embedding import Embedding
from shared.knowledge.ingest import Ingestion
from shared.knowledge.means import IngestionLimits, JobBusyError, Means
from shared.knowledge.messages import IngestFile
from shared.knowledge.reading import Parser, Reading
from shared.knowledge.search import SearchQuery, search
from shared.knowledge.store_files import attach_file
from shared.postgres.database import Database
from shared.telemetry import logger, metrics
from tests.integration.api_stack import bodies, count_rows
from tests.integration.knowledge_world import InProcess, LocalEmbedder, World

GUIDE = b"# Kettle\n\nThe kettle holds two litres.\n\n## Safety\n\nNever fill it above the line.\n"


class Desk:
    """A worker over the real parts, and the texts that were embedded."""

    def __init__(self, world: World, objects: Objects, queues: QueueUrls) -> None:
        self.world = world
        self.objects = objects
        self.queues = queues
        self.embedder = LocalEmbedder()
        self.parser = InProcess()
        self.counted: Counter[str] = Counter()
        self.worker = self.new_worker(self.embedder)

    def new_worker(
        self,
        embedder: Embedder,
        limits: IngestionLimits = IngestionLimits(),  # noqa: B008 - frozen
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        parser: Parser | None = None,
        caption_of: Callable[[str, str], Caption] | None = None,
    ) -> Worker:
        database = self.world.database
        reading = Reading(
            objects=self.objects,
            parser=parser or self.parser,
            max_bytes=limits.max_bytes,
            caption_of=caption_of,
            caption_calls=1,
        )
        embedding = Embedding(
            database=database,
            embedder_of=lambda _: embedder,
            batch=limits.embedding_batch,
            calls=limits.embedding_calls,
        )
        means = Means(
            database=database,
            objects=self.objects,
            queue=Queue(self.queues.ingestion),
            reading=reading,
            embedding=embedding,
            limits=limits,
            clock=clock,
            count=lambda name, value: self.counted.update({name: value}),
            log=logger("test"),
        )
        return Worker(means, metrics("test"))

    async def upload(self, filename: str, data: bytes, *stores: str, status: str = "pending") -> str:
        """A file with its bytes in S3, attached to stores."""
        file = await self.world.new_file(filename, status=status)
        for store in stores:
            await self.world.attach(store, file)
        await self.put(file, filename, data)
        return file

    async def put(self, file: str, filename: str, data: bytes) -> None:
        key = f"{self.world.tenant_id}/files/{file}/{filename}"
        await self.objects.put(key, data, "application/octet-stream")

    async def announce(self, file: str, filename: str) -> None:
        """S3's event for the file's object, which knows no size."""
        await self.worker.handle(event(f"{self.world.tenant_id}/files/{file}/{filename}"))

    def job(self, store: str, file: str) -> IngestFile:
        return IngestFile(tenant_id=self.world.tenant_id, vector_store_id=store, file_id=file)

    async def state(self, file: str) -> dict[str, object]:
        (row,) = await self.world.rows("SELECT * FROM vector_store_files WHERE file_id = %s", file)
        return row

    async def ask(self, store: str, text: str) -> list[str]:
        query = SearchQuery(vector_store_ids=(store,), text=text)
        found = await search(self.world.database, LocalEmbedder(), self.world.tenant_id, query)
        return [passage.text for passage in found]


async def run(worker: Worker, job: IngestFile) -> str:
    return await Ingestion(worker.means).run(job)


def event(key: str) -> str:
    entity = {"bucket": {"name": "b"}, "object": {"key": quote(key), "size": 0}}
    record = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": entity}
    return json.dumps({"Records": [record]})


@pytest.fixture
def desk(database: Database, tenant_id: str, objects: Objects, queues: QueueUrls) -> Desk:
    return Desk(World(database, tenant_id), objects, queues)


async def test_an_upload_becomes_searchable(desk: Desk) -> None:
    store = await desk.world.new_store()
    file = await desk.upload("guide (1).md", GUIDE, store)
    await desk.announce(file, "guide (1).md")
    state = await desk.state(file)
    assert (state["status"], state["attempts"], state["lease_until"]) == ("completed", 1, None)
    assert state["chunk_count"] == 1
    assert int(str(state["usage_bytes"])) > 1024
    (row,) = await desk.world.rows("SELECT status, bytes FROM files WHERE file_id = %s", file)
    assert (row["status"], row["bytes"]) == ("uploaded", len(GUIDE))
    text = (await desk.objects.get(text_key(desk.world.tenant_id, file))).decode()
    (passage,) = await desk.ask(store, "How much water does it hold?")
    assert passage in text


async def test_chunks_have_the_size_that_the_file_asks_for(desk: Desk) -> None:
    text = " ".join(f"Sentence number {n} is about kettle number {n}." for n in range(200)).encode()
    store = await desk.world.new_store()
    counts = []
    for tokens in (None, 100, 4096):
        file = await desk.upload("kettles.txt", text, store, status="uploaded")
        await desk.world.rows(
            "UPDATE vector_store_files SET chunk_tokens = %s WHERE file_id = %s RETURNING 1", tokens, file
        )
        assert await run(desk.worker, desk.job(store, file)) == "completed"
        counts.append((await desk.state(file))["chunk_count"])
    usual, small, large = counts
    assert (large, small > 3 * usual > 3) == (1, True)


async def test_a_cancelled_file_that_is_attached_with_another_size_is_cut_anew(desk: Desk) -> None:
    text = " ".join(f"Sentence number {n} is about kettle number {n}." for n in range(200)).encode()
    store = await desk.world.new_store()
    file = await desk.upload("kettles.txt", text, store, status="uploaded")
    assert await run(desk.worker, desk.job(store, file)) == "completed"
    await desk.world.rows("UPDATE vector_store_files SET status = 'cancelled' RETURNING 1")
    for tokens, outcome in ((4096, "completed"), (None, "unchanged")):
        async with desk.world.database.tenant(desk.world.tenant_id) as connection:
            await attach_file(
                connection,
                tenant_id=desk.world.tenant_id,
                vector_store_id=store,
                file_id=file,
                chunk_tokens=tokens,
            )
        assert await run(desk.worker, desk.job(store, file)) == outcome
        assert (await desk.state(file))["chunk_count"] == 1
        await desk.world.rows("UPDATE vector_store_files SET status = 'cancelled' RETURNING 1")


async def test_a_file_without_a_title_is_found_by_its_name(desk: Desk) -> None:
    store = await desk.world.new_store()
    await desk.announce(
        await desk.upload("kettle-manual.txt", b"It holds two litres.", store), "kettle-manual.txt"
    )
    await desk.announce(await desk.upload("other.txt", b"It holds two litres.", store), "other.txt")
    assert desk.embedder.texts[0] == "kettle-manual\n\nIt holds two litres."
    query = SearchQuery(vector_store_ids=(store,), text="What does the kettle hold?")
    best, other = await search(desk.world.database, desk.embedder, desk.world.tenant_id, query)
    assert (best.filename, other.filename) == ("kettle-manual.txt", "other.txt")
    assert best.score > other.score


async def test_the_same_message_again_is_no_work(desk: Desk) -> None:
    store = await desk.world.new_store()
    file = await desk.upload("guide.md", GUIDE, store)
    await desk.announce(file, "guide.md")
    rows, statistics = (
        await count_rows(desk.world.database, desk.world.tenant_id),
        await desk.world.statistics(store),
    )
    embedded = len(desk.embedder.texts)
    await desk.announce(file, "guide.md")
    await desk.worker.handle(desk.job(store, file).model_dump_json())
    assert await count_rows(desk.world.database, desk.world.tenant_id) == rows
    assert await desk.world.statistics(store) == statistics
    assert len(desk.embedder.texts) == embedded
    assert (await desk.state(file))["attempts"] == 1


async def test_new_bytes_of_a_known_file_replace_the_old(desk: Desk) -> None:
    store = await desk.world.new_store()
    file = await desk.upload("guide.md", GUIDE, store)
    await desk.announce(file, "guide.md")
    await desk.put(file, "guide.md", b"# Toaster\n\nIt takes two slices.\n")
    await desk.announce(file, "guide.md")
    assert await desk.ask(store, "kettle litres") == ["# Toaster\n\nIt takes two slices."]
    assert "kettl" not in (await desk.world.statistics(store))[2]


async def test_deleting_a_file_leaves_no_trace(desk: Desk) -> None:
    stores = [await desk.world.new_store() for _ in range(2)]
    file = await desk.upload("guide.md", GUIDE, *stores, status="uploaded")
    for store in stores:
        await desk.worker.handle(desk.job(store, file).model_dump_json())
    await delete_file(desk.world.database, desk.objects, tenant_id=desk.world.tenant_id, file_id=file)
    assert await count_rows(desk.world.database, desk.world.tenant_id) == {"vector_stores": 2}
    assert [await desk.world.statistics(store) for store in stores] == [(0, 0, {})] * 2
    assert [item async for item in desk.objects.keys("")] == []
    # What still stands in the queue finds nothing to do.
    await desk.announce(file, "guide.md")
    await desk.worker.handle(desk.job(stores[0], file).model_dump_json())


async def test_of_two_workers_one_does_the_job(desk: Desk) -> None:
    store = await desk.world.new_store()
    file = await desk.upload("guide.md", GUIDE, store, status="uploaded")
    job = desk.job(store, file)
    answers = await asyncio.gather(*(run(desk.worker, job) for _ in range(3)), return_exceptions=True)
    assert answers.count("completed") == 1
    assert all(answer in ("completed", "finished") or isinstance(answer, JobBusyError) for answer in answers)
    assert (await desk.state(file))["attempts"] == 1
    assert len(desk.embedder.texts) == 1


async def test_a_file_of_several_stores_is_a_message_each(desk: Desk) -> None:
    stores = [await desk.world.new_store() for _ in range(2)]
    file = await desk.upload("guide.md", GUIDE, *stores)
    await desk.announce(file, "guide.md")
    messages = [IngestFile.model_validate_json(body) for body in await bodies(desk.queues.ingestion)]
    assert {message.vector_store_id for message in messages} == set(stores)


@pytest.mark.parametrize(
    ("filename", "content", "code", "message"),
    [
        ("a.pdf", b"%PDF-1.7 and then nothing", "invalid_file", "PDF"),
        ("a.exe", b"MZ\x90\x00\x03\x00\x00\x00" + bytes(range(256)) * 8, "unsupported_file", ""),
        ("a.md", b" \n\n ", "invalid_file", "no text"),
    ],
)
async def test_a_file_that_cannot_be_read_fails_with_the_reason(
    desk: Desk, filename: str, content: bytes, code: str, message: str
) -> None:
    store = await desk.world.new_store()
    file = await desk.upload(filename, content, store)
    await desk.announce(file, filename)
    state = await desk.state(file)
    assert (state["status"], state["error_code"]) == ("failed", code)
    assert message in str(state["error_message"])
    await desk.announce(file, filename)
    assert (await desk.state(file))["attempts"] == 1


async def test_bytes_over_the_limit_or_gone_fail_the_job(desk: Desk) -> None:
    store = await desk.world.new_store()
    big = await desk.upload("big.md", GUIDE, store, status="uploaded")
    worker = desk.new_worker(desk.embedder, IngestionLimits(max_bytes=10))
    await worker.handle(desk.job(store, big).model_dump_json())
    assert "at most 10 are read" in str((await desk.state(big))["error_message"])
    gone = await desk.world.new_file("gone.md")
    await desk.world.attach(store, gone)
    await desk.worker.handle(desk.job(store, gone).model_dump_json())
    assert "Upload it again" in str((await desk.state(gone))["error_message"])


class Flaky(LocalEmbedder):
    """Fails so often, then works."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        if self.failures:
            self.failures -= 1
            raise UpstreamError("The provider did not answer.")
        return await super().embed(model, texts)


async def test_a_failure_that_passes_is_tried_again(desk: Desk) -> None:
    store = await desk.world.new_store()
    file = await desk.upload("guide.md", GUIDE, store, status="uploaded")
    message = desk.job(store, file).model_dump_json()
    worker = desk.new_worker(Flaky(2))
    for _ in range(2):
        with pytest.raises(UpstreamError):
            await worker.handle(message)
        assert (await desk.state(file))["status"] == "in_progress"
    await worker.handle(message)
    state = await desk.state(file)
    assert (state["status"], state["attempts"], state["error_message"]) == ("completed", 3, None)


async def test_a_failure_that_stays_ends_the_job_with_the_reason(desk: Desk) -> None:
    store = await desk.world.new_store()
    file = await desk.upload("guide.md", GUIDE, store, status="uploaded")
    worker = desk.new_worker(Flaky(9), IngestionLimits(max_attempts=2))
    message = desk.job(store, file).model_dump_json()
    with pytest.raises(UpstreamError):
        await worker.handle(message)
    await worker.handle(message)
    state = await desk.state(file)
    assert (state["status"], state["error_code"]) == ("failed", "server_error")
    assert state["error_message"] == "Weir gave up after 2 tries. The provider did not answer."


class Held(LocalEmbedder):
    """Waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = asyncio.Event()
        self.go = asyncio.Event()

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        self.waiting.set()
        await self.go.wait()
        return await super().embed(model, texts)


async def test_a_stopped_worker_gives_its_job_back(desk: Desk) -> None:
    store = await desk.world.new_store()
    file = await desk.upload("guide.md", GUIDE, store, status="uploaded")
    held = Held()
    work = asyncio.create_task(run(desk.new_worker(held), desk.job(store, file)))
    await held.waiting.wait()
    with pytest.raises(JobBusyError):
        await run(desk.worker, desk.job(store, file))
    work.cancel()
    await asyncio.wait([work])
    assert await run(desk.worker, desk.job(store, file)) == "completed"


async def test_a_killed_workers_job_is_done_by_another_and_its_late_result_refused(desk: Desk) -> None:
    store = await desk.world.new_store()
    file = await desk.upload("guide.md", GUIDE, store, status="uploaded")
    job, held = desk.job(store, file), Held()
    # This worker is taken for dead: nothing renews its lease.
    dead = desk.new_worker(held, IngestionLimits(lease=timedelta(hours=1)))
    work = asyncio.create_task(run(dead, job))
    await held.waiting.wait()
    later = desk.new_worker(desk.embedder, clock=lambda: datetime.now(UTC) + timedelta(hours=2))
    assert await run(later, job) == "completed"
    statistics = await desk.world.statistics(store)
    held.go.set()
    assert await work == "superseded"
    assert await desk.world.statistics(store) == statistics


async def test_a_long_job_keeps_its_lease(desk: Desk) -> None:
    store = await desk.world.new_store()
    file = await desk.upload("guide.md", GUIDE, store, status="uploaded")
    job, held, renewed, looks = desk.job(store, file), Held(), asyncio.Event(), 0

    def clock() -> datetime:
        # One look for the claim and one for each renewal: at the third the first renewal is done.
        nonlocal looks
        looks += 1
        if looks == 3:
            renewed.set()
        return datetime.now(UTC)

    slow = desk.new_worker(held, IngestionLimits(lease=timedelta(seconds=0.3)), clock)
    work = asyncio.create_task(run(slow, job))
    await held.waiting.wait()
    first = (await desk.state(file))["lease_until"]
    await renewed.wait()
    assert (await desk.state(file))["lease_until"] > first
    held.go.set()
    assert await work == "completed"


async def test_a_job_removed_meanwhile_writes_nothing(desk: Desk) -> None:
    store = await desk.world.new_store()
    file = await desk.upload("guide.md", GUIDE, store, status="uploaded")
    held = Held()
    work = asyncio.create_task(run(desk.new_worker(held), desk.job(store, file)))
    await held.waiting.wait()
    await delete_file(desk.world.database, desk.objects, tenant_id=desk.world.tenant_id, file_id=file)
    held.go.set()
    assert await work == "superseded"
    assert await count_rows(desk.world.database, desk.world.tenant_id) == {"vector_stores": 1}


async def test_objects_that_are_no_files_are_passed_over(desk: Desk) -> None:
    tenant = desk.world.tenant_id
    await desk.objects.put(f"{tenant}/files/file-unknown/a.md", b"x", "text/plain")
    for key in (
        f"{tenant}/texts/file-1.md",
        "readme.md",
        f"{tenant}/files/file-unknown/a.md",
        f"{tenant}/files/f/gone",
    ):
        await desk.worker.handle(event(key))
    await desk.worker.handle('{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}')
    assert await count_rows(desk.world.database, tenant) == {}


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"Records": []}', '{"tenant_id": "t"}', "\x00"])
async def test_a_message_that_makes_no_sense_is_refused(desk: Desk, body: str) -> None:
    with pytest.raises(MalformedMessageError):
        await desk.worker.handle(body)
