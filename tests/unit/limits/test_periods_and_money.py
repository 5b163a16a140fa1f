"""UTC days and months, and dollars."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from shared.limits.money import dollars, microdollars
from shared.limits.periods import periods_of

MOMENTS = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.integers(-12 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m))),
)


@given(MOMENTS)
def test_a_moment_lies_in_its_periods(now: datetime) -> None:
    periods = periods_of(now)
    for period in (periods.day, periods.month):
        assert period.start <= now < period.end
        assert period.milliseconds_left(now) >= 0
        assert period.start.tzinfo is UTC
    assert periods.day.end - periods.day.start == timedelta(days=1)
    assert (periods.month.start.day, periods.month.end.day) == (1, 1)
    assert timedelta(days=28) <= periods.month.end - periods.month.start <= timedelta(days=31)
    assert periods.day.name.startswith(periods.month.name)


def test_the_last_moment_of_a_year() -> None:
    periods = periods_of(datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert (periods.day.name, periods.month.name) == ("2026-12-31", "2026-12")
    assert periods.month.end == datetime(2027, 1, 1, tzinfo=UTC)
    assert periods.day.milliseconds_left(datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)) == 1000


@given(st.integers(0, 10**15))
def test_money_comes_back_exact(amount: int) -> None:
    assert microdollars(Decimal(dollars(amount))) == amount


def test_money_is_written_without_needless_zeros() -> None:
    assert [dollars(n) for n in (0, 1, 12_500_000, 100_000_000)] == ["0", "0.000001", "12.5", "100"]
