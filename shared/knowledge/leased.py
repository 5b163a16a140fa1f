"""How work under a lease ends: done, failed for good, or given back to the queue."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from pydantic import BaseModel

from shared.knowledge.jobs import LeaseLostError
from shared.knowledge.lease import renewed
from shared.knowledge.means import Means, reason_of

T = TypeVar("T")


async def carried_out(
    means: Means,
    job: BaseModel,
    work: Callable[[], Awaitable[T]],
    *,
    renew: Callable[[], Awaitable[bool]],
    give_back: Callable[[str], Awaitable[str]],
) -> T | Literal["superseded", "failed"]:
    """The outcome of `work`, whose lease is renewed while it lasts.

    `superseded`: the lease was lost. A failure gives the job back with its reason and is raised, so that the
    message comes back, unless that was the last attempt: then `give_back` answers "failed".
    """
    try:
        async with renewed(renew, means.limits.lease, means.log):
            return await work()
    except LeaseLostError:
        return "superseded"
    except asyncio.CancelledError:
        await asyncio.shield(give_back("Its worker was stopped."))
        raise
    except Exception as error:
        if await give_back(reason_of(error)) == "failed":
            means.log.exception("ingestion failed for good", extra=job.model_dump())
            return "failed"
        raise
