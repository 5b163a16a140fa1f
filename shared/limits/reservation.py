"""What was reserved for a request, and how `reserve.lua` and `settle.lua` are told and understood."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.limits.allowance import UNMETERED, Allowance, Left, tightest
from shared.limits.caller import Caller
from shared.limits.limits import Demand, Limits, Meter
from shared.limits.periods import periods_of
from shared.limits.refusals import Refusal
from shared.limits.scopes import Scope, limited_scopes, marker_key, scope_keys

Argument = str | bytes | int | float
Answer = Sequence[bytes | int]

# How long a second settlement is known as such, beyond the lease; none comes so late.
_MARKER_SECONDS = 3600

# Values of a scope in the answer of `reserve.lua`.
_VALUES = 5
_METERS: dict[bytes, Meter] = {
    name.encode(): name
    for name in ("requests", "tokens", "concurrent_requests", "budget_per_day", "budget_per_month")
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """A request for room in every limited scope."""

    reservation_id: str
    caller: Caller
    model: str
    demand: Demand
    scopes: tuple[Scope, ...]
    keys: tuple[str, ...]
    now: datetime

    def arguments(self, *, absent_is_zero: bool) -> list[Argument]:
        """The arguments of `reserve.lua`."""
        periods, demand = periods_of(self.now), self.demand
        return [
            self.reservation_id,
            demand.tokens,
            demand.cost_microdollars,
            int(demand.lease_seconds * 1000),
            periods.day.milliseconds_left(self.now),
            periods.month.milliseconds_left(self.now),
            int(absent_is_zero),
            *(limit for scope in self.scopes for limit in _limits(scope.limits)),
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reservation:
    """Room that a request has, until it is settled. Unmetered: nothing limits it, or Valkey is gone.

    `reserved_at` and `arrivals` (one per scope) are moments of Valkey's clock, as it wrote them.
    """

    reservation_id: str
    caller: Caller
    model: str
    demand: Demand
    allowance: Allowance = UNMETERED
    scopes: tuple[Scope, ...] = ()
    keys: tuple[str, ...] = ()
    reserved_at: bytes = b""
    arrivals: tuple[bytes, ...] = ()

    @property
    def metered(self) -> bool:
        """Whether there is anything to settle."""
        return bool(self.scopes)

    def settlement_keys(self) -> list[str]:
        """The keys of `settle.lua`."""
        return [marker_key(self.caller.tenant_id, self.reservation_id), *self.keys]

    def settlement_arguments(self, tokens: int, cost_microdollars: int) -> list[Argument]:
        """The arguments of `settle.lua`."""
        demand = self.demand
        arguments: list[Argument] = [
            self.reservation_id,
            demand.cost_microdollars,
            cost_microdollars,
            demand.tokens,
            tokens,
            self.reserved_at,
            int((demand.lease_seconds + _MARKER_SECONDS) * 1000),
        ]
        for scope, arrival in zip(self.scopes, self.arrivals, strict=True):
            arguments += [_or_none(scope.limits.tokens_per_minute), arrival]
        return arguments


def ask_for(
    caller: Caller, reservation_id: str, model: str, model_limits: Limits, demand: Demand, now: datetime
) -> Ask:
    """The request as the scripts take it."""
    scopes, periods = limited_scopes(caller, model, model_limits), periods_of(now)
    return Ask(
        reservation_id=reservation_id,
        caller=caller,
        model=model,
        demand=demand,
        scopes=scopes,
        keys=tuple(
            key for scope in scopes for key in scope_keys(caller.tenant_id, scope, periods.day, periods.month)
        ),
        now=now,
    )


def granted(ask: Ask, answer: Answer) -> Reservation:
    """The reservation that `reserve.lua` answers with."""
    per_scope = list(_grouped(answer[2:]))
    limits = [scope.limits for scope in ask.scopes]
    return Reservation(
        reservation_id=ask.reservation_id,
        caller=ask.caller,
        model=ask.model,
        demand=ask.demand,
        allowance=Allowance(
            requests=tightest(
                Left(limit=limit.requests_per_minute, left=int(values[0]), whole_in_ms=int(values[1]))
                for limit, values in zip(limits, per_scope, strict=True)
                if limit.requests_per_minute is not None
            ),
            tokens=tightest(
                Left(limit=limit.tokens_per_minute, left=int(values[2]), whole_in_ms=int(values[3]))
                for limit, values in zip(limits, per_scope, strict=True)
                if limit.tokens_per_minute is not None
            ),
        ),
        scopes=ask.scopes,
        keys=ask.keys,
        reserved_at=bytes(answer[1]),
        arrivals=tuple(bytes(values[4]) for values in per_scope),
    )


def unmetered(ask: Ask) -> Reservation:
    """A reservation of nothing."""
    return Reservation(
        reservation_id=ask.reservation_id, caller=ask.caller, model=ask.model, demand=ask.demand
    )


def unreserved(ask: Ask) -> Reservation:
    """A reservation of nothing in every scope, for money that is settled without having been reserved."""
    return replace(
        unmetered(ask),
        scopes=ask.scopes,
        keys=ask.keys,
        reserved_at=b"0",
        arrivals=(b"0",) * len(ask.scopes),
    )


def refusal_in(ask: Ask, answer: Answer) -> Refusal:
    """The refusal that `reserve.lua` answers with."""
    _, scope, meter, left, wait_ms, held = answer
    return Refusal(
        scope=ask.scopes[int(scope) - 1],
        meter=_METERS[bytes(meter)],
        left=int(left),
        wait_ms=int(wait_ms),
        held=int(held),
    )


def _limits(limits: Limits) -> tuple[int, ...]:
    return (
        _or_none(limits.requests_per_minute),
        _or_none(limits.tokens_per_minute),
        _or_none(limits.concurrent_requests),
        _or_none(limits.budget_per_day),
        _or_none(limits.budget_per_month),
    )


def _or_none(limit: int | None) -> int:
    return -1 if limit is None else limit


def _grouped(values: Answer) -> Iterator[Answer]:
    for start in range(0, len(values), _VALUES):
        yield values[start : start + _VALUES]
