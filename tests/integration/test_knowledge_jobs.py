"""Claims and leases in real PostgreSQL; time is what the tests say."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from shared.knowledge import job_lease
from shared.knowledge.index import Written
from shared.knowledge.job_end import complete, fail
from shared.knowledge.jobs import Claim, Failure, LeaseLostError, Refusal
from shared.knowledge.messages import IngestFile
from shared.postgres.database import Database
from tests.integration.knowledge_world import World

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LEASE = timedelta(seconds=60)


@pytest.fixture
def world(database: Database, tenant_id: str) -> World:
    return World(database, tenant_id)


@pytest.fixture
async def job(world: World) -> IngestFile:
    store, file = await world.new_store(), await world.new_file("a.md")
    await world.attach(store, file)
    return IngestFile(tenant_id=world.tenant_id, vector_store_id=store, file_id=file)


async def claim(world: World, job: IngestFile, *, after: float = 0, attempts: int = 3) -> Claim | Refusal:
    async with world.database.tenant(job.tenant_id) as connection:
        now = NOW + timedelta(seconds=after)
        return await job_lease.claim(connection, job, now, LEASE, max_attempts=attempts)


async def held(world: World, job: IngestFile, *, after: float = 0) -> Claim:
    made = await claim(world, job, after=after)
    assert isinstance(made, Claim)
    return made


async def row(world: World) -> dict[str, object]:
    (only,) = await world.rows("SELECT * FROM vector_store_files")
    return only


async def test_of_two_claims_at_once_one_wins(world: World, job: IngestFile) -> None:
    answers = await asyncio.gather(*(claim(world, job) for _ in range(4)))
    assert len([answer for answer in answers if isinstance(answer, Claim)]) == 1
    assert answers.count("busy") == 3
    assert (await row(world))["attempts"] == 1


async def test_a_lease_ends_unless_it_is_renewed(world: World, job: IngestFile) -> None:
    first = await held(world, job)
    assert await claim(world, job, after=59) == "busy"
    async with world.database.tenant(job.tenant_id) as connection:
        assert await job_lease.renew(connection, first, NOW + timedelta(seconds=50), LEASE)
    assert await claim(world, job, after=100) == "busy"
    second = await held(world, job, after=111)
    assert second.attempt == 2
    async with world.database.tenant(job.tenant_id) as connection:
        assert not await job_lease.renew(connection, first, NOW, LEASE)
        assert not await job_lease.holds(connection, first)
        assert await job_lease.holds(connection, second)


async def test_a_result_is_taken_from_the_holder_alone(world: World, job: IngestFile) -> None:
    late = await held(world, job)
    holder = await held(world, job, after=61)
    for attempt in (
        lambda c: complete(c, late.held, Written(1, 1), "00", NOW),
        lambda c: fail(c, late.held, Failure(code="invalid_file", message="x")),
        lambda c: job_lease.give_back(c, late, "x", NOW, max_attempts=3),
    ):
        with pytest.raises(LeaseLostError):
            async with world.database.tenant(job.tenant_id) as connection:
                await attempt(connection)
    async with world.database.tenant(job.tenant_id) as connection:
        await complete(connection, holder.held, Written(3, 99), "ab", NOW)
    done = await row(world)
    assert (done["status"], done["chunk_count"], done["usage_bytes"]) == ("completed", 3, 99)
    assert (done["content_sha256"], done["lease_until"], done["error_code"]) == ("ab", None, None)
    assert await claim(world, job) == "finished"


async def test_a_job_given_back_can_be_claimed_at_once_until_its_last_attempt(
    world: World, job: IngestFile
) -> None:
    for expected in ("again", "again", "failed"):
        claimed = await held(world, job)
        async with world.database.tenant(job.tenant_id) as connection:
            given = await job_lease.give_back(
                connection, claimed, "The provider was gone.", NOW, max_attempts=3
            )
        assert given == expected
    failed = await row(world)
    assert (failed["status"], failed["error_code"]) == ("failed", "server_error")
    assert failed["error_message"] == "Weir gave up after 3 tries. The provider was gone."


async def test_a_job_whose_workers_die_is_failed_with_the_reason(world: World, job: IngestFile) -> None:
    for after in (0, 100, 200):
        await held(world, job, after=after)
    assert await claim(world, job, after=220) == "busy"
    assert await claim(world, job, after=300) == "exhausted"
    failed = await row(world)
    assert failed["status"] == "failed"
    assert str(failed["error_message"]).startswith("Weir gave up after 3 tries. Its worker stopped")
    assert await claim(world, job, after=400) == "finished"


async def test_a_cancelled_or_removed_job_is_not_worked_on(world: World, job: IngestFile) -> None:
    claimed = await held(world, job)
    await world.rows("UPDATE vector_store_files SET status = 'cancelled' RETURNING 1")
    with pytest.raises(LeaseLostError):
        async with world.database.tenant(job.tenant_id) as connection:
            await complete(connection, claimed.held, Written(1, 1), "00", NOW)
    assert await claim(world, job) == "finished"
    await world.rows("DELETE FROM vector_store_files RETURNING 1")
    assert await claim(world, job) == "gone"


async def test_a_file_without_its_bytes_waits_for_them(world: World) -> None:
    store, file = await world.new_store(), await world.new_file("a.md", status="pending")
    await world.attach(store, file)
    job = IngestFile(tenant_id=world.tenant_id, vector_store_id=store, file_id=file)
    assert await claim(world, job) == "awaiting_upload"


async def test_failing_removes_what_an_earlier_content_left(world: World, job: IngestFile) -> None:
    await world.index(job.vector_store_id, job.file_id, "An earlier text.")
    claimed = await held(world, job)
    async with world.database.tenant(job.tenant_id) as connection:
        await fail(
            connection, claimed.held, Failure(code="invalid_file", message="Broken.", content_sha256="cd")
        )
    assert await world.rows("SELECT * FROM chunks") == []
    assert await world.statistics(job.vector_store_id) == (0, 0, {})
    failed = await row(world)
    assert (failed["error_code"], failed["error_message"], failed["content_sha256"]) == (
        "invalid_file",
        "Broken.",
        "cd",
    )
