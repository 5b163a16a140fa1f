"""What the ledger says was spent: where counting begins when Valkey knows nothing."""

from collections.abc import Sequence

from psycopg import sql

from shared.limits.periods import Period
from shared.limits.scopes import Scope
from shared.postgres.database import Connection

_COLUMNS = {"key": "key_id", "model": "model"}


async def spent_in_ledger(connection: Connection, wanted: Sequence[tuple[Scope, Period]]) -> tuple[int, ...]:
    """Micro-dollars that each scope spent in its period, in the order in which they are asked for.

    Args:
        connection: A transaction of the tenant.
    """
    since = min(period.start for _, period in wanted)
    sums = sql.SQL(", ").join(_sum(scope, period) for scope, period in wanted)
    statement = sql.SQL("SELECT {} FROM usage_records WHERE created_at >= {}").format(
        sums, sql.Literal(since)
    )
    row = await (await connection.execute(statement)).fetchone()
    assert row is not None  # noqa: S101 - an aggregate always answers
    return tuple(row.values())


def _sum(scope: Scope, period: Period) -> sql.Composed:
    condition = sql.SQL("created_at >= {} AND created_at < {}").format(
        sql.Literal(period.start), sql.Literal(period.end)
    )
    column = _COLUMNS.get(scope.kind)
    if column is not None:
        condition += sql.SQL(" AND {} = {}").format(sql.Identifier(column), sql.Literal(scope.name))
    return sql.SQL("coalesce(sum(cost_microdollars) FILTER (WHERE {}), 0)::bigint AS {}").format(
        condition, sql.Identifier(f"{scope.kind} {period.name}")
    )
