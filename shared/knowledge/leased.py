"""Work on a job under a lease: how it is taken, and how it ends: done, failed for good, or given back."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, TypeVar

from shared.errors import WeirError
from shared.knowledge.jobs import J, Leased, LeaseLostError, Refusal
from shared.knowledge.lease import renewed
from shared.knowledge.means import JobBusyError, Means, reason_of
from shared.knowledge.messages import IngestFile, IngestPart
from shared.postgres.database import Connection

C = TypeVar("C", bound=Leased[Any])
T = TypeVar("T")
Taken = TypeVar("Taken", bound=IngestFile | IngestPart, contravariant=True)


class Leases(Protocol[Taken, C]):
    """The leases of one kind of job (`job_lease`, `part_lease`), each call in a transaction of the tenant."""

    async def claim(
        self, connection: Connection, job: Taken, now: datetime, lease: timedelta, *, max_attempts: int
    ) -> C | Refusal:
        """Take the job, or say why not."""

    async def renew(self, connection: Connection, held: C, now: datetime, lease: timedelta) -> bool:
        """Put off the end; false if the lease is lost."""

    async def give_back(
        self, connection: Connection, held: C, reason: str, now: datetime, *, max_attempts: int
    ) -> Literal["again", "failed"]:
        """End the lease after a failure; at the last attempt, fail the job."""


async def under_lease(
    means: Means, leases: Leases[J, C], job: J, work: Callable[[C], Awaitable[T]]
) -> T | Refusal | Literal["superseded", "failed"]:
    """The outcome of `work`, whose lease is renewed while it lasts; else why there was none.

    `superseded`: the lease was lost. A failure gives the job back with its reason and is raised, so that the
    message comes back, unless that was the last attempt: then the job has failed.

    Raises:
        JobBusyError: Let the message come back.
    """
    try:
        claim = await _claimed(means, leases, job)
        if isinstance(claim, Leased):
            return await _carried_out(means, leases, claim, work)
    except LeaseLostError:
        return "superseded"
    if claim == "busy":
        raise JobBusyError(f"Another worker has {job!r}.")
    return claim


async def _claimed(means: Means, leases: Leases[J, C], job: J) -> C | Refusal:
    async with means.database.tenant(job.tenant_id) as connection:
        return await leases.claim(
            connection, job, means.clock(), means.limits.lease, max_attempts=means.limits.max_attempts
        )


async def _carried_out(
    means: Means, leases: Leases[J, C], claim: C, work: Callable[[C], Awaitable[T]]
) -> T | Literal["failed"]:
    async def renew() -> bool:
        async with means.database.tenant(claim.job.tenant_id) as connection:
            return await leases.renew(connection, claim, means.clock(), means.limits.lease)

    try:
        async with renewed(renew, means.limits.lease, means.log):
            return await work(claim)
    except LeaseLostError:
        raise
    except asyncio.CancelledError:
        await asyncio.shield(_give_back(means, leases, claim, "Its worker was stopped."))
        raise
    except Exception as error:
        if await _give_back(means, leases, claim, reason_of(error)) == "failed":
            means.log.exception("ingestion failed for good", extra=claim.job.model_dump())
            return "failed"
        raise


async def _give_back(means: Means, leases: Leases[J, C], claim: C, reason: str) -> Literal["again", "failed"]:
    try:
        async with means.database.tenant(claim.job.tenant_id) as connection:
            return await leases.give_back(
                connection, claim, reason, means.clock(), max_attempts=means.limits.max_attempts
            )
    except (WeirError, LeaseLostError):
        # The lease ends by itself, or has been ended, and the message comes back.
        means.log.warning("lease not given back", exc_info=True, extra=claim.job.model_dump())
        return "again"
