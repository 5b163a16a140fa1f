"""/v1/usage."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from api.caller import WithCaller, WithServices
from api.schemas.paging import ListPage, cut
from api.schemas.usage import UsageObject, UsageQuery, usage_object
from shared.errors import InvalidRequestError
from shared.ledger.report import usage_by_day

router = APIRouter()

_DEFAULT_DAYS = 30


@router.get("/usage")
async def usage(
    services: WithServices, caller: WithCaller, query: Annotated[UsageQuery, Query()]
) -> ListPage[UsageObject]:
    """Tokens and cost by day: the whole tenant's for an admin, its own for any other key."""
    since, until = _days(query, services.clock().date(), services.limits.usage_limit_days)
    is_admin = caller.role == "admin"
    async with services.database.tenant(caller.tenant_id) as connection:
        rows = await usage_by_day(
            connection,
            since=_midnight(since),
            until=_midnight(until + timedelta(days=1)),
            group_by=query.group_by if is_admin else [*query.group_by, "key_id"],
            only_key=None if is_admin else caller.key_id,
        )
    return cut([usage_object(row) for row in rows], query)


def _days(query: UsageQuery, today: date, limit: int) -> tuple[date, date]:
    until = query.until or today
    since = query.since or until - timedelta(days=_DEFAULT_DAYS - 1)
    if since > until:
        raise InvalidRequestError("Invalid 'since': it is after 'until'.", param="since")
    if (until - since).days >= limit:
        raise InvalidRequestError(f"Ask for at most {limit} days at a time.", param="since")
    return since, until


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
