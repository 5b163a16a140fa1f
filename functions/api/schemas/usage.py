"""Usage as it is asked for and shown."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from api.schemas.fields import Item
from api.schemas.paging import WholeListQuery
from shared.ledger.report import Grouping, UsageRow

_Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2999, 12, 31))]


class UsageQuery(WholeListQuery):
    """GET /v1/usage: UTC days, `since` and `until` included; without them the last 30."""

    since: _Day | None = None
    until: _Day | None = None
    group_by: tuple[Grouping, ...] = ()


class UsageObject(Item):
    """What was used on one UTC day. `model` and `key_id` are null where they are not told apart."""

    object: Literal["usage"] = "usage"
    day: date
    model: str | None
    key_id: str | None
    requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cache_hits: int
    cost_microdollars: int


def usage_object(row: UsageRow) -> UsageObject:
    """A row of the report as it is shown."""
    identity = (str(row.day), row.model, row.key_id)
    return UsageObject(
        id="/".join(part for part in identity if part is not None),
        day=row.day,
        model=row.model,
        key_id=row.key_id,
        requests=row.requests,
        prompt_tokens=row.prompt_tokens,
        cached_tokens=row.cached_tokens,
        completion_tokens=row.completion_tokens,
        reasoning_tokens=row.reasoning_tokens,
        cache_hits=row.cache_hits,
        cost_microdollars=row.cost_microdollars,
    )
