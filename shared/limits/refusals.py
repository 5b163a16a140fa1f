"""The errors by which a limit is told: whose it is, what it is, what is left, when to come back."""

import math
from dataclasses import dataclass
from datetime import datetime

from shared.errors import BudgetError, RateLimitError
from shared.limits.limits import Demand, Meter
from shared.limits.money import dollars
from shared.limits.periods import Period, periods_of
from shared.limits.scopes import Scope

# Nobody knows when a request under way will end; after so many seconds it is worth asking again.
_SOON = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """What `reserve.lua` says when it refuses. Money in micro-dollars.

    `held`: what requests under way hold of a budget, if but for that it would be enough; else 0.
    """

    scope: Scope
    meter: Meter
    left: int
    wait_ms: int
    held: int = 0


def refused(refusal: Refusal, demand: Demand, now: datetime) -> RateLimitError:
    """The error for a request that may pass later."""
    match refusal.meter:
        case "requests" | "tokens":
            return _too_fast(refusal, demand)
        case "concurrent_requests":
            limit = refusal.scope.limits.concurrent_requests
            return RateLimitError(
                f"The limit of {limit:,} requests at a time for {refusal.scope.phrase} is reached; try again"
                " when one of them has ended.",
                retry_after=min(_SOON, _seconds(refusal)),
                code=refusal.meter,
            )
        case "budget_per_day":
            return _over_budget(refusal, demand, periods_of(now).day)
        case "budget_per_month":
            return _over_budget(refusal, demand, periods_of(now).month)


def impossible(scope: Scope, demand: Demand, now: datetime) -> RateLimitError | None:
    """The error for a request that this scope never lets pass, however long one waits."""
    limits = scope.limits
    if limits.tokens_per_minute is not None and demand.tokens > limits.tokens_per_minute:
        return RateLimitError(
            f"This request needs about {demand.tokens:,} tokens, and {scope.phrase} may use"
            f" {limits.tokens_per_minute:,} per minute in all; ask for fewer, or have the limit raised.",
            retry_after=60,
            code="tokens",
            should_retry=False,
        )
    periods = periods_of(now)
    for meter, period in (("budget_per_day", periods.day), ("budget_per_month", periods.month)):
        budget: int | None = getattr(limits, meter)
        if budget is not None and demand.cost_microdollars > budget:
            return BudgetError(
                f"This request may cost ${dollars(demand.cost_microdollars)}, and {scope.phrase} may spend"
                f" ${dollars(budget)} {_per(meter)} in all; ask for fewer tokens, or have the budget raised.",
                retry_after=period.milliseconds_left(now) / 1000,
                should_retry=False,
            )
    return None


def _too_fast(refusal: Refusal, demand: Demand) -> RateLimitError:
    scope, seconds = refusal.scope, _seconds(refusal)
    if refusal.meter == "requests":
        what, more = f"{scope.limits.requests_per_minute:,} requests", ""
    else:
        what = f"{scope.limits.tokens_per_minute:,} tokens"
        more = f": this request needs about {demand.tokens:,} of them and {refusal.left:,} are left"
    return RateLimitError(
        f"The limit of {what} per minute for {scope.phrase} is reached{more}; try again in {seconds} s.",
        retry_after=seconds,
        code=refusal.meter,
    )


def _over_budget(refusal: Refusal, demand: Demand, period: Period) -> BudgetError:
    budget: int = getattr(refusal.scope.limits, refusal.meter)
    state = (
        f"Of the budget of ${dollars(budget)} {_per(refusal.meter)} for {refusal.scope.phrase}"
        f" ${dollars(refusal.left)} is left, and this request may cost ${dollars(demand.cost_microdollars)};"
    )
    if refusal.held:
        return BudgetError(
            f"{state} ${dollars(refusal.held)} is held by requests under way; try again when they end.",
            retry_after=min(_SOON, _seconds(refusal)),
        )
    return BudgetError(
        f"{state} it is renewed at {period.end:%Y-%m-%d %H:%M} UTC.",
        retry_after=_seconds(refusal),
        should_retry=False,
    )


def _per(meter: str) -> str:
    return meter.removeprefix("budget_").replace("_", " ")


def _seconds(refusal: Refusal) -> int:
    return math.ceil(refusal.wait_ms / 1000)
