"""Large files in parts: real PostgreSQL, S3, SQS and embedding model; parts small enough for a test."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from cleanup.orphans import delete_orphans
from cleanup.unfinished import remove_abandoned, resend_parts
from local.components.storage import QueueUrls
from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.documents.document import Document
from shared.documents.parts import FilePart, PartSizes, Plan
from shared.errors import UpstreamError
from shared.knowledge.deletion import delete_file
from shared.knowledge.means import IngestionLimits
from shared.knowledge.messages import IngestFile, IngestPart
from shared.knowledge.search import SearchQuery, search
from shared.knowledge.store_files import get_store_file
from shared.knowledge.texts import find_text
from shared.postgres.database import Database
from tests.integration.api_stack import bodies, count_rows
from tests.integration.knowledge_world import InProcess, LocalEmbedder, World
from tests.integration.test_ingestion import Desk

CITIES = ("Berlin", "Lagos", "Lima", "Osaka", "Perth", "Quito")
PARTS = 4


def table(note: str = "visited") -> bytes:
    rows = [f"{n},{CITIES[n % 6]},{note} in the year {1900 + n}" for n in range(1, 61)]
    return "\n".join(["number,city,remark", *rows, ""]).encode()


@pytest.fixture
def desk(database: Database, tenant_id: str, objects: Objects, queues: QueueUrls) -> Desk:
    desk = Desk(World(database, tenant_id), objects, queues)
    desk.parser.sizes = PartSizes(bytes=500)
    return desk


async def planned(desk: Desk, data: bytes = b"") -> tuple[str, str, list[str]]:
    """A file in a store whose parts are messages: store, file and their bodies, in order."""
    store = await desk.world.new_store()
    file = await desk.upload("cities.csv", data or table(), store, status="uploaded")
    await desk.worker.handle(desk.job(store, file).model_dump_json())
    messages = await waiting(desk)
    assert len(messages) >= PARTS
    return store, file, messages


async def waiting(desk: Desk) -> list[str]:
    found = await bodies(desk.queues.ingestion)
    return sorted(found, key=lambda body: IngestPart.model_validate_json(body).part)


async def progress(desk: Desk, store: str, file: str) -> tuple[int, int] | None:
    async with desk.world.database.tenant(desk.world.tenant_id) as connection:
        found = (await get_store_file(connection, store, file)).progress
    return None if found is None else (found.completed, found.total)


async def text_of(desk: Desk, store: str, file: str, start: int = 0, length: int = 10**6) -> tuple[str, bool]:
    async with desk.world.database.tenant(desk.world.tenant_id) as connection:
        found = await find_text(
            connection, tenant_id=desk.world.tenant_id, vector_store_id=store, file_id=file
        )
    return await found.read(desk.objects, start, length)


async def test_a_large_file_is_found_as_a_whole_or_not_at_all(desk: Desk) -> None:
    store, file, messages = await planned(desk)
    # In any order, and some of them twice.
    for done, body in enumerate(reversed(messages)):
        assert await progress(desk, store, file) == (done, len(messages))
        assert await desk.ask(store, "Lagos") == []
        await desk.worker.handle(body)
        await desk.worker.handle(body)
    state = await desk.state(file)
    assert (state["status"], state["staged_version"], state["attempts"]) == ("completed", None, 0)
    assert await progress(desk, store, file) is None
    assert sorted(desk.parser.parsed) == list(range(len(messages)))
    (row,) = await desk.world.rows("SELECT count(*) AS n, min(version) AS v, max(version) AS w FROM chunks")
    assert (row["n"], row["v"], row["w"]) == (state["chunk_count"], 1, 1)
    assert (await desk.world.statistics(store))[0] == row["n"]
    found = await desk.ask(store, "Which city was visited in the year 1957?")
    assert "1957" in found[0]


async def test_a_passage_of_any_part_opens_at_its_place(desk: Desk) -> None:
    store, file, messages = await planned(desk)
    for body in messages:
        await desk.worker.handle(body)
    whole, more = await text_of(desk, store, file)
    assert not more
    query = SearchQuery(vector_store_ids=(store,), text="visited in the year", max_results=50)
    passages = await search(desk.world.database, LocalEmbedder(), desk.world.tenant_id, query)
    assert {whole[p.char_start : p.char_end] == p.text for p in passages} == {True}
    # Rows are the file's own: row 2 is the first below the header.
    rows = sorted((p.row_first or 0, p.row_last or 0) for p in passages)
    assert (rows[0][0], rows[-1][1]) == (2, 61)
    pages = []
    for start in range(0, len(whole), 700):
        text, more = await text_of(desk, store, file, start, 700)
        pages.append(text)
        assert more == (start + 700 < len(whole))
    assert "".join(pages) == whole


async def test_a_new_version_takes_the_place_of_the_old_at_once(desk: Desk) -> None:
    store, file, messages = await planned(desk)
    for body in messages:
        await desk.worker.handle(body)
    before = await desk.world.statistics(store)
    embedded = len(desk.embedder.texts)
    await desk.put(file, "cities.csv", table("painted"))
    await desk.announce(file, "cities.csv")
    *some, last = await waiting(desk)
    for body in some:
        await desk.worker.handle(body)
    assert all("visited" in text for text in await desk.ask(store, "Lima"))
    await desk.worker.handle(last)
    assert all("painted" in text for text in await desk.ask(store, "Lima"))
    assert (await desk.world.statistics(store))[0] == before[0]
    assert len(desk.embedder.texts) == 2 * embedded
    # The texts of the old bytes are nobody's any more.
    texts = [item.key async for item in desk.objects.keys(f"{desk.world.tenant_id}/texts/")]
    gone = await delete_orphans(
        desk.world.database,
        desk.objects,
        desk.world.tenant_id,
        before=datetime.now(UTC) + timedelta(hours=1),
        limit=1000,
    )
    assert (gone, len(texts)) == (len(messages), 2 * len(messages))
    assert "painted" in (await text_of(desk, store, file))[0]


async def test_other_bytes_in_the_middle_of_it_start_it_anew(desk: Desk) -> None:
    store, file, messages = await planned(desk)
    await desk.worker.handle(messages[0])
    await desk.put(file, "cities.csv", table("painted"))
    # A part of the first plan finds other bytes and leaves them alone.
    await desk.worker.handle(messages[1])
    assert (await progress(desk, store, file) or (0, 0))[0] == 1
    await desk.announce(file, "cities.csv")
    for body in [*messages, *await waiting(desk)]:
        await desk.worker.handle(body)
    assert (await desk.state(file))["status"] == "completed"
    assert {("painted" in t, "visited" in t) for t in await desk.ask(store, "Lima")} == {(True, False)}


class Lost(InProcess):
    """Dies in the middle of a part, as a killed process does: nothing is given back."""

    def __init__(self) -> None:
        super().__init__(PartSizes(bytes=500))
        self.waiting, self.go = asyncio.Event(), asyncio.Event()

    async def parse(self, path, plan: Plan, part: FilePart) -> Document:  # type: ignore[no-untyped-def]
        self.waiting.set()
        await self.go.wait()
        return await super().parse(path, plan, part)


async def test_a_killed_workers_part_is_done_by_another_and_its_late_result_refused(desk: Desk) -> None:
    store, file, messages = await planned(desk)
    lost = Lost()
    dead = desk.new_worker(desk.embedder, IngestionLimits(lease=timedelta(hours=1)), parser=lost)
    work = asyncio.create_task(dead.handle(messages[0]))
    await lost.waiting.wait()
    later = desk.new_worker(desk.embedder, clock=lambda: datetime.now(UTC) + timedelta(hours=2))
    for body in messages:
        await later.handle(body)
    assert (await desk.state(file))["status"] == "completed"
    statistics = await desk.world.statistics(store)
    lost.go.set()
    await work
    assert await desk.world.statistics(store) == statistics


async def test_parts_at_once_complete_the_file_once(desk: Desk) -> None:
    store, file, messages = await planned(desk)
    await asyncio.gather(*map(desk.worker.handle, messages))
    state = await desk.state(file)
    assert (state["status"], state["live_version"]) == ("completed", 1)
    (row,) = await desk.world.rows("SELECT count(*) AS n FROM chunks")
    assert row["n"] == state["chunk_count"] == (await desk.world.statistics(store))[0]


class Broken(LocalEmbedder):
    """Cannot embed what is about Lagos."""

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        if any("1909" in text for text in texts):
            raise UpstreamError("The provider did not answer.")
        return await super().embed(model, texts)


async def test_a_part_that_stays_broken_ends_the_job_with_the_reason(desk: Desk) -> None:
    store, file, messages = await planned(desk)
    worker = desk.new_worker(Broken(), IngestionLimits(max_attempts=2))
    with pytest.raises(UpstreamError):
        await worker.handle(messages[0])
    for body in messages:
        await worker.handle(body)
    state = await desk.state(file)
    assert (state["status"], state["error_code"]) == ("failed", "server_error")
    assert state["error_message"] == "Weir gave up on part 1 after 2 tries. The provider did not answer."
    assert await desk.world.rows("SELECT * FROM chunks") == []
    assert await desk.world.rows("SELECT * FROM ingestion_parts") == []
    assert await desk.world.statistics(store) == (0, 0, {})


async def test_messages_that_were_lost_are_sent_again(desk: Desk) -> None:
    store, file, messages = await planned(desk)
    await desk.worker.handle(messages[0])
    world, queue = desk.world, Queue(desk.queues.ingestion)

    async def resend() -> int:
        return await resend_parts(world.database, queue, world.tenant_id, idle=timedelta(0), limit=100)

    assert await resend() == len(messages) - 1
    assert [IngestPart.model_validate_json(body) for body in await waiting(desk)] == [
        IngestPart.model_validate_json(body) for body in messages[1:]
    ]
    # As if the worker had died between the plan and the messages: the file's own message sends them.
    await world.rows("UPDATE ingestion_plans SET sent_at = NULL RETURNING 1")
    job = IngestFile(tenant_id=world.tenant_id, vector_store_id=store, file_id=file)
    for expected in (len(messages), 0):
        await desk.worker.handle(job.model_dump_json())
        assert len(await waiting(desk)) == expected
    assert (await desk.state(file))["attempts"] == 0


async def test_a_cancelled_file_leaves_nothing_staged(desk: Desk) -> None:
    store, file, messages = await planned(desk)
    await desk.worker.handle(messages[0])
    await desk.world.rows("UPDATE vector_store_files SET status = 'cancelled' RETURNING 1")
    await desk.worker.handle(messages[1])
    assert (await desk.world.statistics(store))[0] > 0
    assert await remove_abandoned(desk.world.database, desk.world.tenant_id, limit=10) == 1
    assert await desk.world.statistics(store) == (0, 0, {})
    assert await desk.world.rows("SELECT * FROM ingestion_plans") == []
    assert (await desk.state(file))["staged_version"] is None


async def test_deleting_it_at_any_moment_leaves_no_trace(desk: Desk) -> None:
    _, file, messages = await planned(desk)
    await desk.worker.handle(messages[0])
    await delete_file(desk.world.database, desk.objects, tenant_id=desk.world.tenant_id, file_id=file)
    for body in messages:
        await desk.worker.handle(body)
    assert await count_rows(desk.world.database, desk.world.tenant_id) == {"vector_stores": 1}
    assert [item async for item in desk.objects.keys("")] == []
