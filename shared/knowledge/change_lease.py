"""The lease of a store's change to another embedding model: taken, renewed, and put back.

Every function runs in a transaction of the tenant.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from shared.knowledge.messages import ReembedStore
from shared.knowledge.model_change import give_up
from shared.knowledge.next_space import CHANGING, NextSpace, row_of
from shared.postgres.database import Connection

# `gone`: another change took its place, or it is done; `busy`: another worker is at it; `exhausted`: it was
# tried too often, and has been given up.
ChangeRefusal = Literal["gone", "busy", "exhausted"]


@dataclass(frozen=True, kw_only=True)
class ChangeClaim(NextSpace):
    """The right to work on a store's change until the lease ends."""

    attempt: int


async def claim_change(
    connection: Connection, job: ReembedStore, now: datetime, lease: timedelta, *, max_attempts: int
) -> ChangeClaim | ChangeRefusal:
    """Take the change until `now + lease`, or say why not. A claim counts as an attempt."""
    cursor = await connection.execute(
        f"SELECT * FROM vector_stores WHERE {CHANGING} FOR NO KEY UPDATE",  # noqa: S608 - a constant
        row_of(job),
    )
    if (row := await cursor.fetchone()) is None:
        return "gone"
    if row["reembed_lease_until"] is not None and row["reembed_lease_until"] > now:
        return "busy"
    if row["reembed_attempts"] >= max_attempts:
        await give_up(connection, job, row["reembed_attempts"], row["reembed_error"])
        return "exhausted"
    await connection.execute(
        "UPDATE vector_stores SET reembed_attempts = reembed_attempts + 1, reembed_lease_until = %(until)s,"  # noqa: S608 - made of constants
        " reembed_updated_at = %(now)s WHERE " + CHANGING,
        {**row_of(job), "until": now + lease, "now": now},
    )
    return ChangeClaim(
        job=job,
        attempt=row["reembed_attempts"] + 1,
        model=row["next_embedding_model"],
        dimensions=row["next_dimensions"],
    )


async def renew_change(connection: Connection, held: ChangeClaim, now: datetime, lease: timedelta) -> bool:
    """Put off the end of the lease; false if the change is over. Two at one change only cost more."""
    cursor = await connection.execute(
        "UPDATE vector_stores SET reembed_lease_until = %(until)s, reembed_updated_at = %(now)s WHERE "  # noqa: S608 - made of constants
        + CHANGING,
        {**held.row, "until": now + lease, "now": now},
    )
    return cursor.rowcount == 1


async def put_back(connection: Connection, held: ChangeClaim, reason: str, *, max_attempts: int) -> None:
    """End the lease after a failure that may pass; at the last attempt, give the change up."""
    if held.attempt >= max_attempts:
        await give_up(connection, held.job, held.attempt, reason)
        return
    await connection.execute(
        "UPDATE vector_stores SET reembed_lease_until = NULL, reembed_error = %(reason)s WHERE " + CHANGING,  # noqa: S608 - made of constants
        {**held.row, "reason": reason},
    )
