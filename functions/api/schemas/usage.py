"""Usage as it is asked for and shown."""

from dataclasses import asdict
from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from api.schemas.fields import Item
from api.schemas.files import unix
from api.schemas.paging import WholeListQuery
from shared.ledger.report import GROUPINGS, Grouping, UsageRow
from shared.ledger.usage import CacheOutcome, Consumption, Leg, Outcome, UsageRecord

_Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2999, 12, 31))]


class UsageQuery(WholeListQuery):
    """GET /v1/usage: UTC days, `since` and `until` included; without them the last 30.

    `group_by` may be there several times, as `group_by` or, as OpenAI's SDK writes a list, as `group_by[]`.
    """

    since: _Day | None = None
    until: _Day | None = None
    group_by: tuple[Grouping, ...] = ()
    group_by_list: tuple[Grouping, ...] = Field(default=(), alias="group_by[]")

    @property
    def groupings(self) -> tuple[Grouping, ...]:
        """What to tell apart."""
        return (*self.group_by, *self.group_by_list)


class UsageObject(Item):
    """What was used on one UTC day. `model` and the like are null where they are not told apart."""

    object: Literal["usage"] = "usage"
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
    cache_hits: int
    cost_microdollars: int
    saved_microdollars: int


class UsageRecordObject(Item, Consumption):
    """One request. Its `legs` are the upstream calls that it took, in order, and its sums are theirs."""

    object: Literal["usage.record"] = "usage.record"
    key_id: str
    endpoint: str
    model: str
    provider: str
    outcome: Outcome
    cache_outcome: CacheOutcome
    saved_microdollars: int
    estimated: bool
    duration_ms: int
    first_token_ms: int | None
    created_at: int
    legs: tuple[Leg, ...]


def usage_object(row: UsageRow) -> UsageObject:
    """A row of the report as it is shown."""
    identity = (str(row.day), *(getattr(row, name) for name in GROUPINGS))
    return UsageObject(id="/".join(part for part in identity if part is not None), **asdict(row))


def usage_record_object(record: UsageRecord) -> UsageRecordObject:
    """A request's row of the ledger as it is shown."""
    shown = record.model_dump(exclude={"tenant_id", "request_id", "created_at"})
    return UsageRecordObject(id=record.request_id, created_at=unix(record.created_at), **shown)
