"""Sums over the ledger."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from psycopg import sql
from psycopg.rows import class_row

from shared.postgres.database import Connection

Grouping = Literal["model", "key_id"]


@dataclass(frozen=True, kw_only=True)
class UsageRow:
    """What was used on one UTC day, by one model and one key where grouped by these.

    `cache_hits` counts requests that no provider was paid for: answered from the cache, exactly or by
    meaning, or joined to an identical request in flight.
    """

    day: date
    model: str | None
    key_id: str | None
    requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cost_microdollars: int
    cache_hits: int


_REPORT = sql.SQL("""
    SELECT (created_at AT TIME ZONE 'UTC')::date AS day, {model} AS model, {key_id} AS key_id,
           count(*) AS requests,
           sum(prompt_tokens)::bigint AS prompt_tokens,
           sum(cached_tokens)::bigint AS cached_tokens,
           sum(completion_tokens)::bigint AS completion_tokens,
           sum(reasoning_tokens)::bigint AS reasoning_tokens,
           sum(cost_microdollars)::bigint AS cost_microdollars,
           count(*) FILTER (WHERE cache_outcome IN ('hit', 'semantic', 'joined')) AS cache_hits
    FROM usage_records
    WHERE created_at >= %(since)s AND created_at < %(until)s
        AND (%(only_key)s::text IS NULL OR key_id = %(only_key)s)
    GROUP BY 1, 2, 3
    ORDER BY 1, 2, 3
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
    columns = {
        name: sql.Identifier(name) if name in group_by else sql.SQL("NULL::text")
        for name in ("model", "key_id")
    }
    async with connection.cursor(row_factory=class_row(UsageRow)) as cursor:
        await cursor.execute(
            _REPORT.format(**columns), {"since": since, "until": until, "only_key": only_key}
        )
        return await cursor.fetchall()
