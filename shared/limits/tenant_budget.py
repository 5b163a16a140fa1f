"""Whether a tenant may still spend, where no key asks: by the ledger alone, which is behind by a queue."""

from datetime import datetime

from psycopg import sql

from shared.errors import BudgetError
from shared.limits.columns import LIMIT_COLUMNS, limits_in
from shared.limits.money import dollars
from shared.limits.periods import Period, periods_of
from shared.limits.scopes import Scope
from shared.limits.spending import spent_in_ledger
from shared.postgres.database import Connection

_SELECT = sql.SQL("SELECT {} FROM tenants").format(LIMIT_COLUMNS)


async def check_tenant_budget(connection: Connection, now: datetime) -> None:
    """Refuse what costs money, if the budget of the transaction's tenant is used up.

    Raises:
        BudgetError: It is, until the day or the month ends.
    """
    row = await (await connection.execute(_SELECT)).fetchone()
    if row is None or not (limits := limits_in(row)).budgeted:
        return
    periods, tenant = periods_of(now), Scope("tenant", "", limits)
    budgets = [("day", limits.budget_per_day, periods.day), ("month", limits.budget_per_month, periods.month)]
    wanted = [(name, budget, period) for name, budget, period in budgets if budget is not None]
    spent = await spent_in_ledger(connection, [(tenant, period) for _, _, period in wanted])
    for (name, budget, period), money in zip(wanted, spent, strict=True):
        if money >= budget:
            raise _used_up(name, budget, period, now)


def _used_up(name: str, budget: int, period: Period, now: datetime) -> BudgetError:
    return BudgetError(
        f"The budget of ${dollars(budget)} per {name} for this tenant is used up; it is renewed at"
        f" {period.end:%Y-%m-%d %H:%M} UTC.",
        retry_after=period.milliseconds_left(now) / 1000,
        should_retry=False,
    )
