from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.ledger.prices import PeakHours, Price, cost_microdollars

BEIJING = PeakHours(
    weekdays=frozenset({"mon", "tue", "wed", "thu", "fri"}),
    hours=((time(9), time(12)), (time(14), time(18))),
    timezone="Asia/Shanghai",
    holidays=frozenset({date(2026, 10, 1)}),
)
FLASH = Price(
    input=Decimal("0.15"),
    cached_input=Decimal("0.003"),
    output=Decimal("0.6"),
    peak_input=Decimal("0.30"),
    peak_cached_input=Decimal("0.006"),
    peak_output=Decimal("1.2"),
    peak=BEIJING,
)
OFF_PEAK = datetime(2026, 11, 21, 2, tzinfo=UTC)  # a Saturday


@pytest.mark.parametrize(
    ("moment", "peak"),
    [
        ("2026-11-23T00:59:59.999999+00:00", False),
        ("2026-11-23T01:00:00+00:00", True),
        ("2026-11-23T03:59:59.999999+00:00", True),
        ("2026-11-23T04:00:00+00:00", False),
        ("2026-11-23T06:00:00+00:00", True),
        ("2026-11-23T10:00:00+00:00", False),
        ("2026-11-23T09:30:00+08:00", True),
        ("2026-11-22T20:30:00-05:00", True),  # Sunday in New York, Monday 9:30 in Beijing
        ("2026-11-22T09:30:00+08:00", False),  # Sunday
        ("2026-10-01T09:30:00+08:00", False),  # a holiday, and a Thursday
        ("2026-10-02T09:30:00+08:00", True),
    ],
)
def test_peak_hours_follow_the_clock_of_their_own_place(moment: str, peak: bool) -> None:
    assert BEIJING.contains(datetime.fromisoformat(moment)) is peak


def test_peak_hours_follow_summer_time() -> None:
    hours = PeakHours(weekdays=frozenset({"wed"}), hours=((time(9), time(10)),), timezone="Europe/Berlin")
    assert hours.contains(datetime(2026, 1, 14, 8, 30, tzinfo=UTC))
    assert not hours.contains(datetime(2026, 7, 15, 8, 30, tzinfo=UTC))
    assert hours.contains(datetime(2026, 7, 15, 7, 30, tzinfo=UTC))


def test_an_end_at_midnight_is_the_end_of_the_day() -> None:
    hours = PeakHours(weekdays=frozenset({"mon"}), hours=((time(22), time(0)),), timezone="UTC")
    assert hours.contains(datetime(2026, 11, 23, 23, 59, 59, 999_999, tzinfo=UTC))
    assert not hours.contains(datetime(2026, 11, 24, 0, 0, tzinfo=UTC))
    assert not hours.contains(datetime(2026, 11, 23, 0, 0, tzinfo=UTC))


def test_a_request_costs_the_price_in_force_when_it_was_sent() -> None:
    used = {"prompt_tokens": 1_000, "cached_tokens": 600, "completion_tokens": 200}
    assert cost_microdollars(FLASH, **used, at=OFF_PEAK) == 182  # 60 + 1.8 + 120 = 181.8
    assert cost_microdollars(FLASH, **used, at=datetime(2026, 11, 23, 2, tzinfo=UTC)) == 364  # 363.6


@pytest.mark.parametrize(
    ("price", "tokens", "cost"),
    [("0.5", 1, 1), ("0.499999", 1, 0), ("1.5", 1, 2), ("0.000001", 500_000, 1), ("0.000001", 499_999, 0)],
)
def test_half_a_microdollar_rounds_up(price: str, tokens: int, cost: int) -> None:
    plain = Price(input=Decimal(price), output=Decimal(0))
    assert (
        cost_microdollars(plain, prompt_tokens=tokens, cached_tokens=0, completion_tokens=0, at=OFF_PEAK)
        == cost
    )


def test_cached_tokens_cost_as_much_as_others_without_a_price_of_their_own() -> None:
    plain = Price(input=Decimal(2), output=Decimal(0))
    used = {"prompt_tokens": 10, "completion_tokens": 0, "at": OFF_PEAK}
    assert cost_microdollars(plain, cached_tokens=7, **used) == cost_microdollars(
        plain, cached_tokens=0, **used
    )


def test_more_cached_tokens_than_prompt_tokens_never_cost_less_than_nothing() -> None:
    used = {"prompt_tokens": 100, "completion_tokens": 0, "at": OFF_PEAK}
    assert cost_microdollars(FLASH, cached_tokens=10_000, **used) == cost_microdollars(
        FLASH, cached_tokens=100, **used
    )


prices = st.decimals(min_value=0, max_value=100_000, places=6)
tokens = st.integers(min_value=0, max_value=10**12)


@given(prices, prices, prices, tokens, tokens, tokens)
def test_the_cost_is_exact_and_rounded_once(
    fresh: Decimal, cached: Decimal, output: Decimal, prompt: int, hits: int, completion: int
) -> None:
    hits = min(hits, prompt)
    exact = (prompt - hits) * Fraction(fresh) + hits * Fraction(cached) + completion * Fraction(output)
    cost = cost_microdollars(
        Price(input=fresh, cached_input=cached, output=output),
        prompt_tokens=prompt,
        cached_tokens=hits,
        completion_tokens=completion,
        at=OFF_PEAK,
    )
    assert exact - Fraction(1, 2) < cost <= exact + Fraction(1, 2)


def test_a_price_reads_from_toml_values_without_losing_a_digit() -> None:
    price = Price.model_validate({"input": 0.1, "output": "1.98"})
    assert (price.input, price.output) == (Decimal("0.1"), Decimal("1.98"))
    hours = PeakHours.model_validate(
        {"weekdays": ["mon"], "hours": [["09:00", "12:00"]], "timezone": "Asia/Shanghai"}
    )
    assert hours.hours == ((time(9), time(12)),)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"output": "1", "input": "-1"}, "greater than or equal to 0"),
        ({"output": "1", "input": "0.0000001"}, "decimal"),
        ({"output": "1", "input": "1", "peak_output": "2"}, "hours in which they hold"),
        ({"output": "1", "input": "1", "peak": BEIJING}, "needs 'peak_input'"),
        (
            {
                "output": "1",
                "input": "1",
                "cached_input": "1",
                "peak": BEIJING,
                "peak_input": "2",
                "peak_output": "2",
            },
            "go together",
        ),
        ({"output": "1", "input": "1", "cache": "1"}, "Extra inputs"),
    ],
)
def test_a_price_that_makes_no_sense_is_refused(fields: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Price.model_validate(fields)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"timezone": "Asia/Nowhere"}, "unknown time zone"),
        ({"hours": [["18:00", "09:00"]]}, "two entries"),
        ({"hours": [["09:00+08:00", "12:00"]]}, "local times"),
        ({"hours": []}, "at least 1"),
        ({"weekdays": ["monday"]}, "'mon'"),
    ],
)
def test_peak_hours_that_make_no_sense_are_refused(change: dict[str, object], says: str) -> None:
    fields: dict[str, object] = {"weekdays": ["mon"], "hours": [["09:00", "12:00"]], "timezone": "UTC"}
    with pytest.raises(ValidationError, match=says):
        PeakHours.model_validate(fields | change)
