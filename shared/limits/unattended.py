"""In whose name work goes on that nobody waits for: the key that began it, as it is at the moment."""

from datetime import datetime

from shared.errors import NotFoundError
from shared.limits.caller import Caller, find_caller
from shared.limits.keys import hashes_of
from shared.limits.limits import Limits
from shared.postgres.database import Database


async def unattended_caller(database: Database, tenant_id: str, key_id: str, now: datetime) -> Caller | None:
    """The caller behind a key, with its budgets alone; `None` if it was revoked or has expired.

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


def budgets_of(limits: Limits) -> Limits:
    """The limits of money alone: such work does not use up what a key may ask in a minute."""
    return Limits(budget_per_day=limits.budget_per_day, budget_per_month=limits.budget_per_month)
