"""UTC days and months, by which budgets are renewed."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache


@dataclass(frozen=True, kw_only=True, slots=True)
class Period:
    """A UTC day or month: `[start, end)`, and its name, such as `2026-11-24` or `2026-11`."""

    name: str
    start: datetime
    end: datetime

    def milliseconds_left(self, now: datetime) -> int:
        """How long it still lasts."""
        return max(0, int((self.end - now).total_seconds() * 1000))


@dataclass(frozen=True, slots=True)
class Periods:
    """The day and the month of a moment."""

    day: Period
    month: Period


def periods_of(now: datetime) -> Periods:
    """The UTC day and month that hold this moment."""
    return _periods(now.astimezone(UTC).date())


# Asked with every request, and the answer changes once a day.
@lru_cache(maxsize=4)
def _periods(day: date) -> Periods:
    first = day.replace(day=1)
    # Thirty-two days after a first lie in the next month.
    next_first = (first + timedelta(days=32)).replace(day=1)
    return Periods(
        Period(name=f"{day:%Y-%m-%d}", start=_midnight(day), end=_midnight(day + timedelta(days=1))),
        Period(name=f"{day:%Y-%m}", start=_midnight(first), end=_midnight(next_first)),
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
