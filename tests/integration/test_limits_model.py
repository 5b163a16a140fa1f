"""The scripts beside a plain model of what they promise, over made-up histories.

The model's time stands still: a token or request flows off in a second or more, and a history takes far less.
"""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import RateLimitError
from shared.limits.caller import Caller
from shared.limits.limiter import Limiter
from shared.limits.limits import Demand, Limits
from shared.limits.reservation import Reservation
from shared.postgres.database import Database
from shared.valkey.client import Valkey


def maybe(low: int, high: int) -> st.SearchStrategy[int | None]:
    return st.none() | st.integers(low, high)


LIMITS = st.builds(
    Limits,
    requests_per_minute=maybe(1, 12),
    tokens_per_minute=maybe(20, 60),
    concurrent_requests=maybe(1, 4),
    budget_per_day=maybe(20, 60),
    budget_per_month=maybe(20, 90),
)
AMOUNT = st.integers(0, 20)
STEPS = st.lists(
    st.tuples(st.just("reserve"), AMOUNT, AMOUNT)
    | st.tuples(st.integers(0, 12), st.integers(0, 30), st.integers(0, 30)),
    max_size=30,
)


@dataclass
class Counts:
    """What one scope has counted."""

    limits: Limits
    requests: int = 0
    tokens: int = 0
    spent: int = 0
    open: dict[str, int] = field(default_factory=dict)

    def refusing(self, demand: Demand) -> set[str]:
        limits, cost = self.limits, demand.cost_microdollars
        budgets = [b for b in (limits.budget_per_day, limits.budget_per_month) if b is not None]
        over = self.spent + sum(self.open.values()) + cost
        found = {
            "requests": limits.requests_per_minute is not None
            and self.requests + 1 > limits.requests_per_minute,
            "tokens": limits.tokens_per_minute is not None
            and self.tokens + demand.tokens > limits.tokens_per_minute,
            "concurrent_requests": limits.concurrent_requests is not None
            and len(self.open) + 1 > limits.concurrent_requests,
            "insufficient_quota": cost > 0 and any(over > budget for budget in budgets),
        }
        return {meter for meter, refused in found.items() if refused}

    def reserve(self, name: str, demand: Demand) -> None:
        self.requests += 1
        self.tokens += demand.tokens
        self.open[name] = demand.cost_microdollars

    def settle(self, name: str, demand: Demand, tokens: int, cost: int) -> None:
        del self.open[name]
        self.tokens += tokens - demand.tokens
        self.spent += cost


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=LIMITS, tenant=LIMITS, model=LIMITS, steps=STEPS)
async def test_scripts_do_what_the_model_does(
    valkey: Valkey, database: Database, key: Limits, tenant: Limits, model: Limits, steps: list
) -> None:
    caller = Caller(
        tenant_id=f"tenant_{uuid.uuid4().hex}", key_id="key", role="member", limits=key, tenant_limits=tenant
    )
    limiter = Limiter(valkey, database)
    scopes = [Counts(limits) for limits in (key, tenant, model)]
    granted: list[Reservation] = []
    settled: set[str] = set()
    for number, (action, tokens, cost) in enumerate(steps):
        if action == "reserve":
            demand = Demand(tokens=tokens, cost_microdollars=cost, lease_seconds=600)
            refusing = set().union(*(scope.refusing(demand) for scope in scopes))
            now = datetime.now(UTC)
            if refusing:
                with pytest.raises(RateLimitError) as caught:
                    await limiter.reserve(caller, str(number), "m", model, demand, now)
                assert caught.value.error_code in refusing
                continue
            reservation = await limiter.reserve(caller, str(number), "m", model, demand, now)
            for scope in scopes:
                scope.reserve(str(number), demand)
            granted.append(reservation)
            _assert_left(reservation, scopes)
        elif action < len(granted):
            reservation = granted[action]
            await limiter.settle(reservation, tokens=tokens, cost_microdollars=cost)
            if reservation.reservation_id not in settled:
                settled.add(reservation.reservation_id)
                for scope in scopes:
                    scope.settle(reservation.reservation_id, reservation.demand, tokens, cost)


def _assert_left(reservation: Reservation, scopes: list[Counts]) -> None:
    requests = [
        s.limits.requests_per_minute - s.requests for s in scopes if s.limits.requests_per_minute is not None
    ]
    tokens = [s.limits.tokens_per_minute - s.tokens for s in scopes if s.limits.tokens_per_minute is not None]
    allowance = reservation.allowance
    assert (allowance.requests.left if allowance.requests else None) == min(requests, default=None)
    assert (allowance.tokens.left if allowance.tokens else None) == min(tokens, default=None)
