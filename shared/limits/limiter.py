"""Requests, tokens, requests at a time and money: reserved before a request, settled after it.

Both are one Valkey script, over a key, its tenant and the model together. Without Valkey requests pass
unmetered: a limit protects money over minutes, and its absence for seconds costs less than refusing what
could be answered. Without PostgreSQL money is counted from 0, where Valkey does not know it.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from redis.asyncio import Redis

from shared.errors import UnavailableError
from shared.limits.caller import Caller
from shared.limits.limits import NOTHING, Demand, Limits
from shared.limits.outage import Outage
from shared.limits.periods import Period, periods_of
from shared.limits.refusals import impossible, refused
from shared.limits.reservation import (
    Answer,
    Ask,
    Reservation,
    ask_for,
    granted,
    refusal_in,
    unmetered,
    unreserved,
)
from shared.limits.scopes import Scope
from shared.limits.spending import spent_in_ledger
from shared.postgres.database import Database
from shared.valkey.client import Valkey
from shared.valkey.script import Script

# A sum is kept until nobody settles in its period any more.
_KEPT_AFTER = timedelta(days=2)

# Seconds that the ledger may take to add up a month, once per key and month.
_LEDGER_SECONDS = 3.0


class Limiter:
    """Meters requests."""

    def __init__(self, valkey: Valkey, database: Database) -> None:
        self._valkey = valkey
        self._database = database
        self._reserve = Script(__package__, "reserve.lua")
        self._settle = Script(__package__, "settle.lua")
        self._seeding = asyncio.Lock()
        self._outage = Outage()

    async def reserve(
        self,
        caller: Caller,
        reservation_id: str,
        model: str,
        model_limits: Limits,
        demand: Demand,
        now: datetime,
    ) -> Reservation:
        """Take room for one request in every scope that is limited, or in none.

        Args:
            reservation_id: Unique within the tenant; the request's id.
            model_limits: What the tenant may ask of this model.
            now: By it a request belongs to a day and a month; all else goes by Valkey's clock.

        Raises:
            RateLimitError: Requests, tokens or requests at a time; nothing was counted.
            BudgetError: Money; nothing was counted.
        """
        ask = ask_for(caller, reservation_id, model, model_limits, demand, now)
        if not ask.scopes:
            return unmetered(ask)
        for scope in ask.scopes:
            if error := impossible(scope, demand, now):
                raise error
        answer = await self._ask(ask)
        if answer is not None and answer[0] == b"unseeded":
            answer = await self._seed_and_ask(ask)
        if answer is None:
            return unmetered(ask)
        if answer[0] == b"refused":
            raise refused(refusal_in(ask, answer), demand, now)
        return granted(ask, answer)

    async def settle(self, reservation: Reservation, *, tokens: int, cost_microdollars: int) -> None:
        """Put what was used in the place of what was reserved. Only the first settlement counts.

        A request that used nothing settles with zeros; it stays counted as a request.
        """
        if not reservation.metered:
            return
        keys = reservation.settlement_keys()
        arguments = reservation.settlement_arguments(tokens, cost_microdollars)
        await self._valkey.attempt(lambda client: self._settle.run(client, keys, arguments))

    async def charge(
        self,
        caller: Caller,
        charge_id: str,
        model: str,
        model_limits: Limits,
        cost_microdollars: int,
        now: datetime,
    ) -> None:
        """Count money that was spent beside what is reserved, such as for embeddings; once per `charge_id`.

        Args:
            charge_id: As a `reservation_id`.
            model_limits: What the tenant may ask of this model.
            now: By it the money belongs to a day and a month.
        """
        ask = ask_for(caller, charge_id, model, model_limits, NOTHING, now)
        if cost_microdollars and any(scope.limits.budgeted for scope in ask.scopes):
            await self.settle(unreserved(ask), tokens=0, cost_microdollars=cost_microdollars)

    async def _ask(self, ask: Ask, *, absent_is_zero: bool = False) -> Answer | None:
        arguments = ask.arguments(absent_is_zero=absent_is_zero)
        answer: Answer | None = await self._valkey.attempt(
            lambda client: self._reserve.run(client, ask.keys, arguments)
        )
        return answer

    async def _seed_and_ask(self, ask: Ask) -> Answer | None:
        """Ask again after the ledger was asked, by one request of this process at a time."""
        if self._outage.under_way:
            return await self._ask(ask, absent_is_zero=True)
        async with self._seeding:
            answer = await self._ask(ask)
            if answer is None or answer[0] != b"unseeded":
                return answer
            await self._seed(ask, [int(place) for place in answer[1:]])
        return await self._ask(ask, absent_is_zero=True)

    async def _seed(self, ask: Ask, places: Sequence[int]) -> None:
        """Tell Valkey what the ledger says, where it still knows nothing; nothing if PostgreSQL is gone.

        Args:
            places: Which of the keys are absent, from 1.
        """
        wanted = [_scope_and_period(ask, place - 1) for place in places]
        sums = await self._sums(ask.caller.tenant_id, wanted)
        if sums is None:
            return

        async def store(client: Redis) -> None:
            for place, (_, period), money in zip(places, wanted, sums, strict=True):
                # NX: whoever was first is followed by what was spent since.
                await client.set(ask.keys[place - 1], money, nx=True, pxat=period.end + _KEPT_AFTER)

        await self._valkey.attempt(store)

    async def _sums(self, tenant_id: str, wanted: Sequence[tuple[Scope, Period]]) -> tuple[int, ...] | None:
        if self._outage.under_way:
            # It began while this request waited for its turn.
            return None
        try:
            async with asyncio.timeout(_LEDGER_SECONDS), self._database.tenant(tenant_id) as connection:
                sums = await spent_in_ledger(connection, wanted)
        except (UnavailableError, TimeoutError):
            self._outage.begin()
            return None
        return sums


def _scope_and_period(ask: Ask, index: int) -> tuple[Scope, Period]:
    scope, place = divmod(index, len(ask.keys) // len(ask.scopes))
    periods = periods_of(ask.now)
    return ask.scopes[scope], periods.day if place == 2 else periods.month
