"""Limits and cache policies as columns of `api_keys` and `tenants`."""

from typing import Any

from psycopg import sql
from psycopg.rows import DictRow

from shared.limits.limits import CachePolicy, Limits

# In the order of `limit_values`.
LIMIT_COLUMNS = sql.SQL(
    "requests_per_minute, tokens_per_minute, concurrent_requests,"
    " budget_per_day_microdollars, budget_per_month_microdollars"
)


def limits_in(row: DictRow, prefix: str = "") -> Limits:
    """The limits in a row whose columns have this prefix."""
    return Limits(
        requests_per_minute=row[f"{prefix}requests_per_minute"],
        tokens_per_minute=row[f"{prefix}tokens_per_minute"],
        concurrent_requests=row[f"{prefix}concurrent_requests"],
        budget_per_day=row[f"{prefix}budget_per_day_microdollars"],
        budget_per_month=row[f"{prefix}budget_per_month_microdollars"],
    )


def limit_values(limits: Limits) -> tuple[Any, ...]:
    """The values of `LIMIT_COLUMNS`."""
    return (
        limits.requests_per_minute,
        limits.tokens_per_minute,
        limits.concurrent_requests,
        limits.budget_per_day,
        limits.budget_per_month,
    )


def cache_in(row: DictRow) -> CachePolicy:
    """The cache policy in a row of keys."""
    return CachePolicy(mode=row["cache_mode"], ttl_seconds=row["cache_ttl_seconds"])
