"""In whose name a batch asks: its key as it is at the moment, less the limits that are for live requests."""

from datetime import datetime

from shared.batch.prices import budgets_of
from shared.errors import NotFoundError
from shared.limits.keys import Caller, find_caller, hashes_of
from shared.limits.limits import Limits
from shared.postgres.database import Database

# No key has this id: theirs begin with `key_`.
_ALL_BATCHES = "batches"


async def caller_of(database: Database, tenant_id: str, key_id: str, now: datetime) -> Caller | None:
    """The caller behind a key, with its budgets; `None` if it was revoked or has expired.

    Raises:
        UnavailableError: PostgreSQL cannot be reached.
    """
    try:
        async with database.tenant(tenant_id) as connection:
            hashed, *_ = await hashes_of(connection, key_id)
    except NotFoundError:
        return None
    async with database.anonymous() as connection:
        caller = await find_caller(connection, hashed)
    if caller is None or not caller.valid_at(now):
        return None
    return caller.model_copy(
        update={"limits": budgets_of(caller.limits), "tenant_limits": budgets_of(caller.tenant_limits)}
    )


def all_batches(tenant_id: str, limits: Limits) -> Caller:
    """Whom the limits of all batches of a tenant are counted for."""
    return Caller(tenant_id=tenant_id, key_id=_ALL_BATCHES, role="member", limits=limits)
