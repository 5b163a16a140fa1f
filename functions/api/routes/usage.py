"""/v1/usage."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from api.caller import WithCaller, WithServices
from api.schemas.fields import RequestIdPath
from api.schemas.paging import ListPage, cut
from api.schemas.usage import UsageObject, UsageQuery, UsageRecordObject, usage_object, usage_record_object
from shared.errors import InvalidRequestError
from shared.ledger.records import find_usage
from shared.ledger.report import usage_by_day
from shared.limits.caller import Caller

router = APIRouter()

_DEFAULT_DAYS = 30


@router.get("/usage")
async def usage(
    services: WithServices, caller: WithCaller, query: Annotated[UsageQuery, Query()]
) -> ListPage[UsageObject]:
    """Tokens and cost by day: the whole tenant's for an admin, its own for any other key."""
    since, until = _days(query, services.clock().date(), services.limits.usage_limit_days)
    only_key = _only_key(caller)
    async with services.database.tenant(caller.tenant_id) as connection:
        rows = await usage_by_day(
            connection,
            since=_midnight(since),
            until=_midnight(until + timedelta(days=1)),
            group_by=query.groupings if only_key is None else [*query.groupings, "key_id"],
            only_key=only_key,
        )
    return cut([usage_object(row) for row in rows], query)


@router.get("/usage/{request_id}")
async def usage_of_request(
    request_id: RequestIdPath, services: WithServices, caller: WithCaller
) -> UsageRecordObject:
    """One request, by its answer's `x-request-id`: any of the tenant's for an admin, else the key's own."""
    async with services.database.tenant(caller.tenant_id) as connection:
        record = await find_usage(connection, request_id, only_key=_only_key(caller))
    return usage_record_object(record)


def _only_key(caller: Caller) -> str | None:
    return None if caller.role == "admin" else caller.key_id


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
