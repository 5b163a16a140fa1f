"""Limits on a real Valkey, plain and in cluster mode, and the ledger in PostgreSQL."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import BudgetError, RateLimitError
from shared.ledger.records import record_usage
from shared.ledger.usage import UsageRecord
from shared.limits.caller import Caller
from shared.limits.limiter import Limiter
from shared.limits.limits import UNLIMITED, Demand, Limits
from shared.limits.periods import periods_of
from shared.limits.reservation import Reservation
from shared.limits.scopes import Scope, scope_keys
from shared.postgres.database import Database
from shared.valkey.client import Valkey

DOLLAR = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Reserves for one tenant, and looks at what Valkey keeps."""

    limiter: Limiter
    valkey: Valkey
    caller: Caller
    model_limits: Limits = UNLIMITED

    def having(
        self,
        key: Limits = UNLIMITED,
        tenant: Limits = UNLIMITED,
        model: Limits = UNLIMITED,
        key_id: str = "key",
    ) -> "Desk":
        caller = self.caller.model_copy(update={"limits": key, "tenant_limits": tenant, "key_id": key_id})
        return replace(self, caller=caller, model_limits=model)

    async def reserve(
        self,
        *,
        tokens: int = 0,
        cost: int = 0,
        lease: float = 60,
        now: datetime | None = None,
        model: str = "m",
    ) -> Reservation:
        demand = Demand(tokens=tokens, cost_microdollars=cost, lease_seconds=lease)
        name = uuid.uuid4().hex
        return await self.limiter.reserve(
            self.caller, name, model, self.model_limits, demand, now or datetime.now(UTC)
        )

    async def settle(self, reservation: Reservation, *, tokens: int = 0, cost: int = 0) -> None:
        await self.limiter.settle(reservation, tokens=tokens, cost_microdollars=cost)

    async def money(self, kind: str = "key", name: str = "key") -> tuple[int, int, int]:
        """Spent today, spent this month, held."""
        periods = periods_of(datetime.now(UTC))
        keys = scope_keys(self.caller.tenant_id, Scope(kind, name, UNLIMITED), periods.day, periods.month)
        day = await self.valkey.attempt(lambda client: client.get(keys[2]))
        month = await self.valkey.attempt(lambda client: client.get(keys[3]))
        held = await self.valkey.attempt(lambda client: client.hget(keys[0], "held"))
        return int(day or 0), int(month or 0), int(held or 0)


@pytest.fixture
def desk(valkey: Valkey, database: Database, tenant_id: str) -> Desk:
    caller = Caller(tenant_id=tenant_id, key_id="key", role="member")
    return Desk(limiter=Limiter(valkey, database), valkey=valkey, caller=caller)


def used(desk: Desk, cost: int, at: datetime, *, key_id: str = "key", model: str = "m") -> UsageRecord:
    return UsageRecord(
        tenant_id=desk.caller.tenant_id,
        request_id=uuid.uuid4().hex,
        key_id=key_id,
        endpoint="/v1/chat/completions",
        model=model,
        provider="local",
        prompt_tokens=1,
        completion_tokens=1,
        cost_microdollars=cost,
        cache_outcome="off",
        outcome="completed",
        duration_ms=1,
        created_at=at,
    )


async def all_of(*reserving) -> tuple[list[Reservation], list[RateLimitError]]:
    results: Sequence[object] = await asyncio.gather(*reserving, return_exceptions=True)
    granted = [result for result in results if isinstance(result, Reservation)]
    refused = [result for result in results if isinstance(result, RateLimitError)]
    assert len(granted) + len(refused) == len(results), results
    return granted, refused


async def test_what_is_spent_beside_a_reservation_counts_once(desk: Desk) -> None:
    budget = Limits(budget_per_day=DOLLAR, budget_per_month=DOLLAR)
    limited = desk.having(key=budget, model=Limits(requests_per_minute=1))
    await limited.settle(await limited.reserve(cost=100), cost=10)

    for _ in range(2):
        await limited.limiter.charge(limited.caller, "emb_1", "e", UNLIMITED, 7, datetime.now(UTC))
    await limited.limiter.charge(limited.caller, "emb_2", "e", UNLIMITED, 0, datetime.now(UTC))

    assert await limited.money() == (17, 17, 0)
    with pytest.raises(BudgetError):
        await desk.having(key=budget).reserve(cost=DOLLAR - 16)
    await desk.having(key=budget).reserve(cost=DOLLAR - 17)


async def test_a_caller_without_limits_never_asks_valkey(database: Database, tenant_id: str) -> None:
    class NoValkey(Valkey):
        async def attempt(self, *_, **__):
            raise AssertionError

    limiter = Limiter(NoValkey("redis://127.0.0.1:1", cluster=False, timeout_ms=1), database)
    caller = Caller(tenant_id=tenant_id, key_id="key", role="member")
    demand = Demand(tokens=1, cost_microdollars=1, lease_seconds=1)
    reservation = await limiter.reserve(caller, "r", "m", UNLIMITED, demand, datetime.now(UTC))
    assert not reservation.metered
    await limiter.settle(reservation, tokens=1, cost_microdollars=1)
    await limiter.charge(caller, "e", "m", UNLIMITED, 1, datetime.now(UTC))


@pytest.mark.parametrize("scope", ["key", "tenant", "model"])
async def test_requests_pass_up_to_the_limit_of_each_scope(desk: Desk, scope: str) -> None:
    limited = desk.having(**{scope: Limits(requests_per_minute=7)})
    for left in range(6, -1, -1):
        allowance = (await limited.reserve()).allowance
        assert allowance.requests is not None
        assert (allowance.requests.limit, allowance.requests.left) == (7, left)
    with pytest.raises(RateLimitError) as caught:
        await limited.reserve()
    assert caught.value.error_code == "requests"
    assert scope in caught.value.message
    # A minute has room for seven, so one is there again after a seventh of it.
    assert 8 <= caught.value.retry_after <= 9


async def test_one_refusal_leaves_every_scope_as_it_was(desk: Desk) -> None:
    both = desk.having(
        key=Limits(requests_per_minute=10, tokens_per_minute=1000, budget_per_day=DOLLAR),
        tenant=Limits(concurrent_requests=1),
    )
    first = await both.reserve(tokens=100, cost=10)
    for _ in range(5):
        with pytest.raises(RateLimitError, match="this tenant"):
            await both.reserve(tokens=100, cost=10)
    await both.settle(first, tokens=100, cost=10)
    allowance = (await both.reserve(tokens=100, cost=10)).allowance
    assert allowance.requests is not None
    assert allowance.tokens is not None
    assert (allowance.requests.left, allowance.tokens.left) == (8, pytest.approx(800, abs=20))
    assert (await both.money())[::2] == (10, 10)


async def test_the_tightest_scope_is_told(desk: Desk) -> None:
    several = desk.having(
        key=Limits(requests_per_minute=100),
        tenant=Limits(requests_per_minute=5),
        model=Limits(tokens_per_minute=9),
    )
    allowance = (await several.reserve(tokens=2)).allowance
    assert allowance.requests is not None
    assert allowance.tokens is not None
    assert (allowance.requests.limit, allowance.requests.left) == (5, 4)
    assert (allowance.tokens.limit, allowance.tokens.left) == (9, 7)


async def test_the_longest_wait_is_told(desk: Desk) -> None:
    several = desk.having(key=Limits(requests_per_minute=30), tenant=Limits(tokens_per_minute=60))
    for _ in range(30):
        await several.reserve(tokens=2)
    with pytest.raises(RateLimitError) as caught:
        await several.reserve(tokens=30)
    assert caught.value.error_code == "tokens"
    assert caught.value.retry_after >= 28


async def test_tokens_are_corrected_to_what_was_used(desk: Desk) -> None:
    limited = desk.having(key=Limits(tokens_per_minute=10_000))
    reservation = await limited.reserve(tokens=9_000)
    with pytest.raises(RateLimitError) as caught:
        await limited.reserve(tokens=2_000)
    assert caught.value.error_code == "tokens"
    await limited.settle(reservation, tokens=100)
    after = await limited.reserve(tokens=2_000)
    assert after.allowance.tokens is not None
    assert 7_900 <= after.allowance.tokens.left <= 8_000
    await limited.settle(after, tokens=11_000)
    with pytest.raises(RateLimitError) as caught:
        await limited.reserve(tokens=1)
    # What was used beyond the limit is paid off before the next may pass.
    assert 6 <= caught.value.retry_after <= 7


async def test_tokens_that_time_has_returned_are_not_returned_twice(desk: Desk) -> None:
    limited = desk.having(key=Limits(tokens_per_minute=60))
    early = await limited.reserve(tokens=20)
    await limited.reserve(tokens=20)
    # As if it had been reserved so long ago that its tokens are back.
    await limited.settle(replace(early, arrivals=(early.reserved_at,)), tokens=0)
    after = (await limited.reserve(tokens=1)).allowance.tokens
    assert after is not None
    assert after.left == 19


async def test_tokens_found_whole_are_not_returned_twice(desk: Desk) -> None:
    limited = desk.having(key=Limits(tokens_per_minute=60))
    late = await limited.reserve(tokens=20)
    # As if others had been given back, and time had done the rest.
    assert await desk.valkey.attempt(lambda client: client.hdel(late.keys[0], "t")) == 1
    await limited.reserve(tokens=20)
    await limited.settle(late, tokens=0)
    after = (await limited.reserve(tokens=1)).allowance.tokens
    assert after is not None
    assert after.left == 39


async def test_requests_at_a_time(desk: Desk) -> None:
    limited = desk.having(model=Limits(concurrent_requests=3))
    granted, refused = await all_of(*(limited.reserve() for _ in range(20)))
    assert (len(granted), len(refused)) == (3, 17)
    assert {error.error_code for error in refused} == {"concurrent_requests"}
    assert (await limited.reserve(model="other")).metered
    await limited.settle(granted[0])
    assert len((await all_of(limited.reserve(), limited.reserve()))[0]) == 1


async def test_a_lease_that_nobody_settles_is_given_back(desk: Desk) -> None:
    limited = desk.having(key=Limits(concurrent_requests=1, budget_per_day=10))
    lost = await limited.reserve(cost=10, lease=0)
    second = await limited.reserve(cost=4)
    assert (await limited.money())[::2] == (0, 4)
    # It was not lost after all: its money is spent, and its lease is nobody's any more.
    for _ in range(2):
        await limited.settle(lost, cost=3)
        assert (await limited.money())[::2] == (3, 4)
    await limited.settle(second, cost=4)
    assert (await limited.money())[::2] == (7, 0)


async def test_what_a_lapsed_lease_held_is_given_back_beside_others(desk: Desk) -> None:
    limited = desk.having(key=Limits(budget_per_day=10))
    await limited.reserve(cost=3)
    await limited.reserve(cost=7, lease=0)
    assert (await limited.reserve(cost=6)).metered
    assert (await limited.money())[::2] == (0, 9)


async def test_a_settlement_after_the_lease_that_nobody_noticed(desk: Desk) -> None:
    limited = desk.having(key=Limits(budget_per_day=10))
    await limited.settle(await limited.reserve(cost=10, lease=0), cost=9)
    assert (await limited.money())[::2] == (9, 0)
    await limited.settle(await limited.reserve(cost=1), cost=1)
    assert (await limited.money())[::2] == (10, 0)


@pytest.mark.parametrize("scope", ["key", "tenant", "model"])
async def test_a_hundred_at_the_edge_of_a_budget(desk: Desk, scope: str) -> None:
    name = {"key": "key", "tenant": "", "model": "m"}[scope]
    limited = desk.having(**{scope: Limits(budget_per_day=10 * DOLLAR, budget_per_month=15 * DOLLAR)})
    spent = 0

    async def one(cost: int) -> Reservation:
        nonlocal spent
        reservation = await limited.reserve(cost=cost)
        day, _, held = await limited.money(scope, name)
        assert day + held <= 10 * DOLLAR
        await limited.settle(reservation, cost=cost)
        spent += cost
        return reservation

    granted, refused = await all_of(*(one(DOLLAR + place) for place in range(100)))
    assert 5 <= len(granted) <= 9
    assert all(isinstance(error, BudgetError) for error in refused)
    assert await limited.money(scope, name) == (spent, spent, 0)
    assert spent <= 10 * DOLLAR


async def test_a_thousand_settlements_are_one_charge(desk: Desk) -> None:
    limited = desk.having(
        key=Limits(budget_per_day=DOLLAR, tokens_per_minute=1000, concurrent_requests=5),
        tenant=Limits(budget_per_month=DOLLAR),
    )
    reservation = await limited.reserve(tokens=500, cost=1000)
    for _ in range(10):
        await asyncio.gather(*(limited.settle(reservation, tokens=400, cost=700) for _ in range(100)))
    assert (await limited.money())[::2] == (700, 0)
    assert (await limited.money("tenant", ""))[1:] == (700, 0)
    after = (await limited.reserve(tokens=1)).allowance.tokens
    assert after is not None
    assert 599 <= after.left < 640


async def test_more_may_be_spent_than_was_thought_once(desk: Desk) -> None:
    limited = desk.having(key=Limits(budget_per_day=100))
    await limited.settle(await limited.reserve(cost=50), cost=150)
    with pytest.raises(BudgetError) as caught:
        await limited.reserve(cost=1)
    assert "$0 is left" in caught.value.message
    assert caught.value.headers["x-should-retry"] == "false"
    end = periods_of(datetime.now(UTC)).day.end
    assert abs(caught.value.retry_after - (end - datetime.now(UTC)).total_seconds()) < 5
    # What costs nothing needs no budget.
    assert (await limited.reserve(cost=0)).metered


async def test_counting_begins_with_the_ledger(desk: Desk, database: Database) -> None:
    now = datetime.now(UTC)
    periods = periods_of(now)
    month_end = periods.month.end - timedelta(microseconds=1)
    async with database.tenant(desk.caller.tenant_id) as connection:
        await record_usage(
            connection,
            used(desk, 10, now),
            used(desk, 100, periods.month.start),
            used(desk, 1000, now, key_id="other"),
            used(desk, 10_000, now, model="other"),
            used(desk, 100_000, periods.month.start - timedelta(microseconds=1)),
            used(desk, 200_000, periods.month.end),
        )
    today = 10 if periods.day.start > periods.month.start else 110
    limits = Limits(budget_per_day=DOLLAR, budget_per_month=DOLLAR)
    limited = desk.having(key=limits, tenant=limits, model=limits)
    await limited.reserve(cost=1)
    assert await limited.money("key", "key") == (today + 10_000, 10_110, 1)
    assert await limited.money("tenant", "") == (today + 11_000, 11_110, 1)
    assert await limited.money("model", "m") == (today + 1_000, 1_110, 1)
    assert month_end > now


async def test_seeding_at_once_counts_each_settlement_once(desk: Desk, database: Database) -> None:
    async with database.tenant(desk.caller.tenant_id) as connection:
        await record_usage(connection, used(desk, 1000, datetime.now(UTC)))
    limits = Limits(budget_per_month=100_000)
    # Each limiter is a process that finds nothing in Valkey.
    desks = [replace(desk.having(key=limits), limiter=Limiter(desk.valkey, database)) for _ in range(4)]

    async def one(at: Desk) -> None:
        await at.settle(await at.reserve(cost=10), cost=10)

    await asyncio.gather(*(one(at) for at in desks for _ in range(25)))
    assert (await desks[0].money())[1:] == (2000, 0)


async def test_a_new_day_has_a_new_budget_and_the_month_goes_on(desk: Desk) -> None:
    limited = desk.having(key=Limits(budget_per_day=100, budget_per_month=150))
    now = periods_of(datetime.now(UTC)).month.start + timedelta(days=10)
    while now < datetime.now(UTC):
        now += timedelta(days=31)
    await limited.settle(await limited.reserve(cost=100, now=now), cost=100)
    with pytest.raises(BudgetError, match="per day"):
        await limited.reserve(cost=10, now=now)
    tomorrow = now + timedelta(days=1)
    late = await limited.reserve(cost=50, now=tomorrow)
    with pytest.raises(BudgetError, match="per month"):
        await limited.reserve(cost=10, now=tomorrow)
    # A request belongs to the day on which it began.
    await limited.settle(late, cost=40)
    assert (await limited.reserve(cost=10, now=tomorrow)).metered
    with pytest.raises(BudgetError):
        await limited.reserve(cost=10, now=now)


async def test_a_budget_set_in_the_middle_of_a_day_knows_what_came_before(
    desk: Desk, database: Database
) -> None:
    async with database.tenant(desk.caller.tenant_id) as connection:
        await record_usage(connection, used(desk, 90, datetime.now(UTC)))
    await desk.having(key=Limits(requests_per_minute=100)).reserve(cost=10)
    limited = desk.having(key=Limits(requests_per_minute=100, budget_per_day=100))
    assert (await limited.reserve(cost=10)).metered
    with pytest.raises(BudgetError):
        await limited.reserve(cost=10)


async def test_without_postgres_money_is_counted_from_nothing(
    desk: Desk, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Database("postgresql://127.0.0.1:1/none", pool_size=1, connect_timeout=0.2)
    await gone.open()
    limited = replace(desk.having(key=Limits(budget_per_day=100)), limiter=Limiter(desk.valkey, gone))
    loop = asyncio.get_running_loop()
    began = loop.time()
    granted, refused = await all_of(*(limited.reserve(cost=30) for _ in range(10)))
    assert (len(granted), len(refused)) == (3, 7)
    # One wait for PostgreSQL, and not ten.
    assert loop.time() - began < 1
    await gone.close()
    for reservation in granted:
        await limited.settle(reservation, cost=30)
    # Nothing was stored: the ledger will say what was spent.
    assert await limited.money() == (0, 0, 0)
    async with database.tenant(desk.caller.tenant_id) as connection:
        await record_usage(connection, *(used(desk, 30, datetime.now(UTC)) for _ in granted))
    back = replace(limited, limiter=desk.limiter)
    with pytest.raises(BudgetError):
        await back.reserve(cost=20)


async def test_without_valkey_requests_pass(database: Database, tenant_id: str) -> None:
    gone = Valkey("redis://127.0.0.1:1", cluster=False, timeout_ms=50)
    limits = Limits(requests_per_minute=1, budget_per_day=1)
    caller = Caller(tenant_id=tenant_id, key_id="key", role="member", limits=limits)
    limiter = Limiter(gone, database)
    demand = Demand(tokens=1, cost_microdollars=1, lease_seconds=1)
    for name in "abc":
        reservation = await limiter.reserve(caller, name, "m", UNLIMITED, demand, datetime.now(UTC))
        assert not reservation.metered
        await limiter.settle(reservation, tokens=1, cost_microdollars=1)
    await gone.close()


async def test_what_can_never_pass_is_told_before_anything_is_counted(desk: Desk) -> None:
    limited = desk.having(
        key=Limits(tokens_per_minute=10, requests_per_minute=1), tenant=Limits(budget_per_day=5)
    )
    with pytest.raises(RateLimitError, match="11 tokens, and this key may use 10") as tokens:
        await limited.reserve(tokens=11)
    with pytest.raises(BudgetError, match="this tenant may spend"):
        await limited.reserve(cost=6)
    assert tokens.value.headers["x-should-retry"] == "false"
    assert (await limited.reserve(tokens=10, cost=5)).metered


async def test_tenants_do_not_meet(desk: Desk) -> None:
    limits = Limits(requests_per_minute=1, concurrent_requests=1, budget_per_day=1)
    ours = desk.having(key=limits, tenant=limits, model=limits)
    await ours.reserve(cost=1)
    with pytest.raises(RateLimitError):
        await ours.reserve(cost=1)
    theirs = replace(ours, caller=ours.caller.model_copy(update={"tenant_id": f"{desk.caller.tenant_id}2"}))
    assert (await theirs.reserve(cost=1)).metered
    with pytest.raises(RateLimitError, match=r"this tenant|the model"):
        await desk.having(tenant=limits, model=limits, key_id="other").reserve(cost=1)


async def test_everything_has_an_end(desk: Desk) -> None:
    limits = Limits(
        requests_per_minute=5,
        tokens_per_minute=5,
        concurrent_requests=5,
        budget_per_day=5,
        budget_per_month=5,
    )
    limited = desk.having(key=limits, tenant=limits, model=limits)
    reservation = await limited.reserve(tokens=1, cost=1, lease=600)
    await limited.settle(await limited.reserve(tokens=1, cost=1), tokens=4, cost=2)
    for key in [*reservation.keys, *reservation.settlement_keys()[1:]]:
        left = await desk.valkey.attempt(lambda client, key=key: client.pttl(key))
        assert left is not None
        assert 0 < left < timedelta(days=40).total_seconds() * 1000, key
    rates = await desk.valkey.attempt(lambda client: client.pttl(reservation.keys[0]))
    # It outlives the longest lease, whose money it counts.
    assert rates is not None
    assert rates > 600_000
