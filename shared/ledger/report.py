"""Sums over the ledger."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, get_args

from psycopg import sql
from psycopg.rows import class_row

from shared.ledger.usage import CacheOutcome
from shared.postgres.database import Connection

Grouping = Literal["model", "key_id", "cache_outcome", "provider", "endpoint"]

GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)


@dataclass(frozen=True, kw_only=True)
class UsageRow:
    """What was used on one UTC day, by one model, key and so on where grouped by these.

    A request counts with its model and provider, those that answered, whole: legs that others failed on too.
    `cache_hits` counts requests that no provider was paid for: answered from the cache, exactly or by
    meaning, or joined to an identical request in flight. `saved_microdollars` is what these would have cost.
    """

    day: date
    model: str | None
    key_id: str | None
    cache_outcome: CacheOutcome | None
    provider: str | None
    endpoint: str | None
    requests: int
    failures: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cost_microdollars: int
    saved_microdollars: int
    cache_hits: int


_REPORT = sql.SQL("""
    SELECT (created_at AT TIME ZONE 'UTC')::date AS day, {groupings},
           count(*) AS requests,
           count(*) FILTER (WHERE outcome = 'failed') AS failures,
           sum(prompt_tokens)::bigint AS prompt_tokens,
           sum(cached_tokens)::bigint AS cached_tokens,
           sum(completion_tokens)::bigint AS completion_tokens,
           sum(reasoning_tokens)::bigint AS reasoning_tokens,
           sum(cost_microdollars)::bigint AS cost_microdollars,
           sum(saved_microdollars)::bigint AS saved_microdollars,
           count(*) FILTER (WHERE cache_outcome IN ('hit', 'semantic', 'joined')) AS cache_hits
    FROM usage_records
    WHERE created_at >= %(since)s AND created_at < %(until)s
        AND (%(only_key)s::text IS NULL OR key_id = %(only_key)s)
    GROUP BY 1, 2, 3, 4, 5, 6
    ORDER BY 1, 2, 3, 4, 5, 6
""")


async def usage_by_day(
    connection: Connection,
    *,
    since: datetime,
    until: datetime,
    group_by: Collection[Grouping] = (),
    only_key: str | None = None,
) -> list[UsageRow]:
    """The tenant's usage in `[since, until)`, by UTC day and what else is asked for, oldest first.

    Args:
        connection: A transaction of the tenant.
        since: Aware, as is `until`.
        group_by: Columns to tell apart; those left out are `None` in every row.
        only_key: Count this key's requests alone.
    """
    statement = _REPORT.format(groupings=sql.SQL(", ").join(_grouping(name, group_by) for name in GROUPINGS))
    async with connection.cursor(row_factory=class_row(UsageRow)) as cursor:
        await cursor.execute(statement, {"since": since, "until": until, "only_key": only_key})
        return await cursor.fetchall()


def _grouping(name: Grouping, group_by: Collection[Grouping]) -> sql.Composed:
    column = sql.Identifier(name) if name in group_by else sql.SQL("NULL::text")
    return sql.SQL("{} AS {}").format(column, sql.Identifier(name))
