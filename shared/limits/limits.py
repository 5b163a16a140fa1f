"""What may be used: per minute, at a time, and of money."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

# PostgreSQL's integer.
Count = Annotated[int, Field(gt=0, le=2**31 - 1)]
# Up to a thousand million dollars: far below 2^53, up to which Valkey's scripts count exactly.
Microdollars = Annotated[int, Field(ge=0, le=10**15)]

Meter = Literal["requests", "tokens", "concurrent_requests", "budget_per_day", "budget_per_month"]
CacheMode = Literal["off", "exact", "semantic"]


class Limits(BaseModel):
    """Limits of one scope; `None` is no limit. Budgets are micro-dollars per UTC day and UTC month."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    concurrent_requests: Count | None = None
    budget_per_day: Microdollars | None = None
    budget_per_month: Microdollars | None = None

    @property
    def budgeted(self) -> bool:
        """Whether money is limited."""
        return self.budget_per_day is not None or self.budget_per_month is not None

    @property
    def limited(self) -> bool:
        """Whether anything is limited."""
        return (
            self.requests_per_minute is not None
            or self.tokens_per_minute is not None
            or self.concurrent_requests is not None
            or self.budgeted
        )


UNLIMITED = Limits()


class CachePolicy(BaseModel):
    """How a key's requests use the cache, unless they say so themselves; `None`: as all others do."""

    model_config = ConfigDict(frozen=True)

    mode: CacheMode | None = None
    ttl_seconds: Count | None = None


ANY_CACHE = CachePolicy()


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """The most that a request is expected to use.

    `lease_seconds` is how long it counts as under way if nobody settles it: the deadline of the request.
    """

    tokens: int
    cost_microdollars: int
    lease_seconds: float


NOTHING = Demand(tokens=0, cost_microdollars=0, lease_seconds=0)
