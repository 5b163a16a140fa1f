"""Cleanup over real PostgreSQL, S3 and SQS: what has to go goes, once, and nothing else does."""

import asyncio
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cleanup.backlog import Backlog, read_backlog
from cleanup.expiry import delete_abandoned_uploads, delete_expired_files, delete_expired_stores
from cleanup.maintenance import vacuum
from cleanup.orphans import delete_orphans
from cleanup.settings import RuleSettings
from cleanup.stuck import notice_uploads, resend_files, resend_pages
from cleanup.sweep import Cleaner, Sweep
from local.components.storage import QueueUrls
from shared.aws.clients import call, client
from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.errors import NotFoundError, UnavailableError
from shared.files.keys import text_key
from shared.files.models import NewFile, StoredFile
from shared.files.records import create_file, get_file, mark_uploaded
from shared.knowledge.messages import IngestFile
from shared.knowledge.store_files import attach_file
from shared.knowledge.store_models import NewVectorStore, StoreSettings
from shared.knowledge.stores import create_store, get_store
from shared.postgres.database import Database
from shared.telemetry import logger
from shared.web.messages import FetchPage
from shared.web.scrape_models import NewScrape
from shared.web.scrapes import create_scrape
from tests.loading import Context, fresh_handler

EVENT = json.loads((Path(__file__).parents[2] / "events" / "scheduler-cleanup.json").read_text())

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


async def add_file(
    database: Database, objects: Objects, tenant_id: str, *, uploaded: bool = True, **change: Any
) -> StoredFile:
    """A file with its object and its text; `change` sets columns."""
    async with database.tenant(tenant_id) as connection:
        new = NewFile(tenant_id=tenant_id, filename="notes.txt", purpose="assistants")
        file = await create_file(connection, new, NOW)
        if uploaded:
            await mark_uploaded(connection, file.file_id, 5)
        for column, value in change.items():
            await connection.execute(
                f"UPDATE files SET {column} = %s WHERE file_id = %s", (value, file.file_id)
            )
    if uploaded:
        await objects.put(file.object_key, b"hello", "text/plain")
        await objects.put(text_key(tenant_id, file.file_id), b"hello", "text/markdown")
    return file


async def add_store(database: Database, tenant_id: str, **change: Any) -> str:
    settings = StoreSettings(metadata={}, expires_after_days=change.pop("expires_after_days", None))
    new = NewVectorStore(tenant_id=tenant_id, embedding_model="m", dimensions=512, settings=settings)
    async with database.tenant(tenant_id) as connection:
        store = await create_store(connection, new, NOW)
        for column, value in change.items():
            await connection.execute(
                f"UPDATE vector_stores SET {column} = %s WHERE vector_store_id = %s",
                (value, store.vector_store_id),
            )
    return store.vector_store_id


async def attach(database: Database, tenant_id: str, store_id: str, file_id: str, **change: Any) -> None:
    async with database.tenant(tenant_id) as connection:
        await attach_file(connection, tenant_id=tenant_id, vector_store_id=store_id, file_id=file_id)
        for column, value in change.items():
            await connection.execute(
                f"UPDATE vector_store_files SET {column} = %s WHERE file_id = %s", (value, file_id)
            )


async def exists(database: Database, tenant_id: str, file_id: str) -> bool:
    async with database.tenant(tenant_id) as connection:
        try:
            await get_file(connection, file_id)
        except NotFoundError:
            return False
        return True


async def keys(objects: Objects, tenant_id: str) -> set[str]:
    return {item.key async for item in objects.keys(f"{tenant_id}/")}


async def sent(url: str) -> list[dict[str, Any]]:
    """The bodies in a queue, which is empty afterwards."""
    bodies: list[dict[str, Any]] = []
    while messages := (
        await call(client("sqs").receive_message, QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0)
    ).get("Messages"):
        for message in messages:
            bodies.append(json.loads(message["Body"]))
            await call(client("sqs").delete_message, QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return bodies


async def test_expired_files_leave_no_trace(database: Database, objects: Objects, tenant_id: str) -> None:
    old = await add_file(database, objects, tenant_id, expires_at=NOW - HOUR)
    young = await add_file(database, objects, tenant_id, expires_at=NOW + HOUR)
    lasting = await add_file(database, objects, tenant_id)
    await attach(database, tenant_id, await add_store(database, tenant_id), old.file_id)
    assert await delete_expired_files(database, objects, tenant_id, now=NOW, limit=10) == 1
    assert [await exists(database, tenant_id, file.file_id) for file in (old, young, lasting)] == [
        False,
        True,
        True,
    ]
    assert not any(old.file_id in key for key in await keys(objects, tenant_id))
    assert len(await keys(objects, tenant_id)) == 4


async def test_a_run_deletes_no_more_than_its_limit(
    database: Database, objects: Objects, tenant_id: str
) -> None:
    for _ in range(3):
        await add_file(database, objects, tenant_id, expires_at=NOW - HOUR)
    expired = {"now": NOW, "limit": 2}
    assert [await delete_expired_files(database, objects, tenant_id, **expired) for _ in range(3)] == [
        2,
        1,
        0,
    ]


async def test_uploads_that_never_came_are_given_up(
    database: Database, objects: Objects, tenant_id: str
) -> None:
    old = await add_file(database, objects, tenant_id, uploaded=False, created_at=NOW - 2 * DAY)
    young = await add_file(database, objects, tenant_id, uploaded=False)
    done = await add_file(database, objects, tenant_id, created_at=NOW - 2 * DAY)
    given_up = await delete_abandoned_uploads(database, objects, tenant_id, before=NOW - DAY, limit=10)
    assert given_up == 1
    assert [await exists(database, tenant_id, file.file_id) for file in (old, young, done)] == [
        False,
        True,
        True,
    ]


async def test_an_upload_whose_event_was_lost_is_taken_up(
    database: Database, objects: Objects, queues: QueueUrls, tenant_id: str
) -> None:
    file = await add_file(database, objects, tenant_id, uploaded=False, created_at=NOW - 2 * HOUR)
    other = await add_file(database, objects, tenant_id, uploaded=False, created_at=NOW - 2 * HOUR)
    store_id = await add_store(database, tenant_id)
    await attach(database, tenant_id, store_id, file.file_id)
    await objects.put(file.object_key, b"hello!", "text/plain")
    queue = Queue(queues.ingestion)
    waiting = {"before": NOW - HOUR, "limit": 10}
    assert await notice_uploads(database, objects, queue, tenant_id, **waiting) == 1
    assert await notice_uploads(database, objects, queue, tenant_id, **waiting) == 0
    async with database.tenant(tenant_id) as connection:
        stored = await get_file(connection, file.file_id)
        assert (stored.status, stored.bytes) == ("uploaded", 6)
        assert (await get_file(connection, other.file_id)).status == "pending"
    message = IngestFile(tenant_id=tenant_id, vector_store_id=store_id, file_id=file.file_id)
    assert await sent(queues.ingestion) == [message.model_dump()]


async def test_stores_expire_by_their_last_use(database: Database, tenant_id: str) -> None:
    unused = await add_store(database, tenant_id, expires_after_days=7, last_active_at=NOW - 8 * DAY)
    used = await add_store(database, tenant_id, expires_after_days=7, last_active_at=NOW - 6 * DAY)
    lasting = await add_store(database, tenant_id, last_active_at=NOW - 800 * DAY)
    assert await delete_expired_stores(database, tenant_id, now=NOW, limit=10) == 1
    async with database.tenant(tenant_id) as connection:
        with pytest.raises(NotFoundError):
            await get_store(connection, unused)
        for store_id in (used, lasting):
            await get_store(connection, store_id)


async def test_stuck_files_are_sent_again_and_the_others_left_alone(
    database: Database, objects: Objects, queues: QueueUrls, tenant_id: str
) -> None:
    store_id = await add_store(database, tenant_id)
    states = {
        "lost": {"updated_at": NOW - 2 * HOUR},
        "died": {"updated_at": NOW - 2 * HOUR, "lease_until": NOW - HOUR, "attempts": 1},
        "worked on": {"updated_at": NOW - 2 * HOUR, "lease_until": NOW + HOUR},
        "recent": {"updated_at": NOW},
        "done": {"updated_at": NOW - 2 * HOUR, "status": "completed"},
    }
    files = {}
    for name, state in states.items():
        files[name] = (await add_file(database, objects, tenant_id)).file_id
        await attach(database, tenant_id, store_id, files[name], **state)
    awaited = await add_file(database, objects, tenant_id, uploaded=False)
    await attach(database, tenant_id, store_id, awaited.file_id, updated_at=NOW - 2 * HOUR)
    queue = Queue(queues.ingestion)
    assert await resend_files(database, queue, tenant_id, idle=HOUR, limit=10) == 2
    assert await resend_files(database, queue, tenant_id, idle=HOUR, limit=10) == 0
    bodies = await sent(queues.ingestion)
    assert {body["file_id"] for body in bodies} == {files["lost"], files["died"]}
    assert all(IngestFile.model_validate(body).tenant_id == tenant_id for body in bodies)


async def test_stuck_pages_are_sent_again(database: Database, queues: QueueUrls, tenant_id: str) -> None:
    new = NewScrape(tenant_id=tenant_id, start_urls=("https://example.com/",), depth_limit=1, page_limit=10)
    async with database.tenant(tenant_id) as connection:
        scrape = await create_scrape(connection, new, NOW)
        await connection.execute("UPDATE scrape_pages SET updated_at = %s", (NOW - 2 * HOUR,))
    queue = Queue(queues.scraping)
    assert await resend_pages(database, queue, tenant_id, idle=HOUR, limit=10) == 1
    assert await resend_pages(database, queue, tenant_id, idle=HOUR, limit=10) == 0
    message = FetchPage(tenant_id=tenant_id, scrape_id=scrape.scrape_id, url="https://example.com/", depth=0)
    assert await sent(queues.scraping) == [message.model_dump()]


async def test_orphans_go_and_everything_else_stays(
    database: Database, objects: Objects, tenant_id: str
) -> None:
    file = await add_file(database, objects, tenant_id)
    other_tenant = f"{tenant_id}_b"
    kept = {
        file.object_key,
        text_key(tenant_id, file.file_id),
        f"{tenant_id}/batches/batch_1/output.jsonl",
        f"{tenant_id}/files/odd",
    }
    orphans = {f"{tenant_id}/files/file-gone/a.txt", f"{tenant_id}/texts/file-gone.md"}
    for key in {*kept, *orphans, f"{other_tenant}/files/file-gone/a.txt"}:
        await objects.put(key, b"x", "text/plain")
    young = {"before": NOW - DAY, "limit": 100}
    assert await delete_orphans(database, objects, tenant_id, **young) == 0
    old = {"before": NOW + HOUR, "limit": 100}
    assert await delete_orphans(database, objects, tenant_id, **old) == 2
    assert await keys(objects, tenant_id) == kept
    assert len(await keys(objects, other_tenant)) == 1


async def test_a_tenant_keeps_no_object_by_another_tenants_record(
    database: Database, objects: Objects, tenant_id: str
) -> None:
    other_tenant = f"{tenant_id}_b"
    file = await add_file(database, objects, other_tenant)
    await objects.put(f"{tenant_id}/files/{file.file_id}/a.txt", b"x", "text/plain")
    assert await delete_orphans(database, objects, tenant_id, before=NOW + HOUR, limit=100) == 1
    assert len(await keys(objects, other_tenant)) == 2


async def test_the_search_for_orphans_goes_on_where_it_stopped(
    database: Database, objects: Objects, tenant_id: str
) -> None:
    for number in range(5):
        await objects.put(f"{tenant_id}/files/file-z{number}/a.txt", b"x", "text/plain")
    kept = await add_file(database, objects, tenant_id)
    found = [await delete_orphans(database, objects, tenant_id, before=NOW + HOUR, limit=3) for _ in range(4)]
    # In the order of keys: the file's object, five orphans, the file's text. The fourth run begins anew.
    assert found == [2, 3, 0, 0]
    assert await keys(objects, tenant_id) == {kept.object_key, text_key(tenant_id, kept.file_id)}


@pytest.fixture
def cleaner(database: Database, objects: Objects, queues: QueueUrls) -> Cleaner:
    return Cleaner(
        database=database,
        objects=objects,
        ingestion=Queue(queues.ingestion),
        scraping=Queue(queues.scraping),
        batches=Queue(queues.batch),
        rules=RuleSettings(),
        log=logger("cleanup"),
    )


async def test_two_runs_at_once_do_everything_once(
    cleaner: Cleaner, database: Database, objects: Objects, tenant_id: str
) -> None:
    for _ in range(4):
        await add_file(database, objects, tenant_id, expires_at=NOW - HOUR)
        await add_store(database, tenant_id, expires_after_days=1, last_active_at=NOW - 2 * DAY)
    runs = await asyncio.gather(*(cleaner.run(NOW, run_id, lambda: True) for run_id in ("a", "b")))
    assert sum(run.expired_files for run in runs) == 4
    assert sum(run.expired_stores for run in runs) == 4
    assert sum(run.failures for run in runs) == 0


async def test_a_chore_that_breaks_off_does_not_keep_the_others(
    cleaner: Cleaner, database: Database, tenant_id: str
) -> None:
    await add_store(database, tenant_id, expires_after_days=1, last_active_at=NOW - 2 * DAY)
    broken = Cleaner(**{**vars(cleaner), "objects": Objects(f"no-such-bucket-{uuid.uuid4().hex}")})
    sweep = await broken.run(NOW, "run", lambda: True)
    assert sweep.failures == sweep.tenants > 0  # each tenant's search for orphans
    assert sweep.expired_stores == 1


async def test_without_time_nothing_is_begun(cleaner: Cleaner, tenant_id: str) -> None:
    sweep = await cleaner.run(NOW, "run", lambda: False)
    assert sweep == Sweep(tenants_left=sweep.tenants_left)
    assert sweep.tenants_left >= 1


async def test_without_a_database_the_run_fails(cleaner: Cleaner) -> None:
    async with AsyncExitStack() as stack:
        gone = Database("postgresql://weir@127.0.0.1:1/weir", pool_size=1, connect_timeout=0.2)
        await gone.open()
        stack.push_async_callback(gone.close)
        with pytest.raises(UnavailableError):
            await Cleaner(**{**vars(cleaner), "database": gone}).run(NOW, "run", lambda: True)


@pytest.fixture
def handle(
    database_url: str, objects: Objects, queues: QueueUrls, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[dict[str, Any], Context], dict[str, int]]]:
    for name, value in {
        "DATABASE_SECRET": "env:CLEANUP_DATABASE",
        "BUCKET": objects.bucket,
        "INGESTION_QUEUE_URL": queues.ingestion,
        "SCRAPING_QUEUE_URL": queues.scraping,
        "BATCH_QUEUE_URL": queues.batch,
    }.items():
        monkeypatch.setenv(f"WEIR_{name}", value)
    monkeypatch.setenv("CLEANUP_DATABASE", database_url)
    with fresh_handler("cleanup") as handler:
        yield handler.handle


async def test_the_scheduled_event_cleans_up(
    handle: Callable[[dict[str, Any], Context], dict[str, int]],
    database: Database,
    objects: Objects,
    tenant_id: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = await add_file(database, objects, tenant_id, expires_at=NOW - HOUR)
    result = await asyncio.to_thread(handle, EVENT, Context(remaining_ms=300_000))
    assert result["expired_files"] == 1
    assert result["failures"] == 0
    assert not await exists(database, tenant_id, file.file_id)
    (metric,) = [line for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert json.loads(metric)["CleanupExpiredFiles"] == [1.0]


async def test_the_backlog_is_what_the_jobs_say(
    cleaner: Cleaner, database: Database, objects: Objects, tenant_id: str
) -> None:
    store = await add_store(database, tenant_id)
    kinds = (("in_progress", True), ("failed", True), ("completed", True), ("in_progress", False))
    for status, uploaded in kinds:
        file = await add_file(database, objects, tenant_id, uploaded=uploaded)
        await attach(database, tenant_id, store, file.file_id, status=status, updated_at=NOW - 2 * HOUR)
    async with database.tenant(tenant_id) as connection:
        await connection.execute("UPDATE vector_store_files SET created_at = updated_at")
    found = await read_backlog(database, tenant_id)
    assert (found.waiting_files, found.waiting_parts, found.failed_files) == (1, 0, 1)
    assert 7200 <= found.oldest_seconds < 7200 + 3600
    joined = found.joined(Backlog(waiting_files=2, oldest_seconds=9000))
    assert (joined.waiting_files, joined.oldest_seconds) == (3, 9000)
    counts = Sweep(backlog=joined).counts()
    assert (counts["backlog_waiting_files"], counts["backlog_failed_files"]) == (3, 1)


async def test_partitions_with_many_dead_rows_are_vacuumed(
    database: Database, objects: Objects, tenant_id: str
) -> None:
    store = await add_store(database, tenant_id)
    file = await add_file(database, objects, tenant_id)
    await attach(database, tenant_id, store, file.file_id)
    async with database.tenant(tenant_id) as connection:
        await connection.execute(
            "INSERT INTO chunks (tenant_id, vector_store_id, file_id, ordinal, text, char_start, char_end,"
            " terms, term_count) SELECT %s, %s, %s, n, 'x', 0, 1, 'x', 1 FROM generate_series(1, 1500) n",
            (tenant_id, store, file.file_id),
        )
    async with database.tenant(tenant_id) as connection:
        await connection.execute("DELETE FROM chunks")
        await connection.execute("SELECT pg_stat_force_next_flush()")
    assert await vacuum(database, lambda: False) == 0
    await vacuum(database, lambda: True, limit=100)
    async with database.anonymous() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
    async with database.anonymous() as connection:
        cursor = await connection.execute(
            "SELECT max(n_dead_tup) AS dead, max(vacuum_count + autovacuum_count) AS times"
            " FROM pg_stat_user_tables WHERE relname ~ '^chunks_[0-9]+$'"
        )
        row = await cursor.fetchone()
    assert row is not None
    # Autovacuum may have been first.
    assert row["dead"] < 1000
    assert row["times"] >= 1
