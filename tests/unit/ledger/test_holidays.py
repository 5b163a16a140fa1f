"""Peak prices stop on Chinese public holidays."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from pydantic import ValidationError

from shared.ledger.prices import PeakHours, cost_microdollars
from shared.providers.catalog import Models
from shared.providers.load import load_catalog

MONDAY_TO_FRIDAY = frozenset({"mon", "tue", "wed", "thu", "fri"})


def peak(*holidays: object) -> PeakHours:
    return PeakHours.model_validate(
        {
            "weekdays": MONDAY_TO_FRIDAY,
            "hours": [["09:00", "12:00"]],
            "timezone": "Asia/Shanghai",
            "holidays": list(holidays),
        }
    )


@pytest.mark.parametrize("model", ["deepseek-flash", "deepseek-v4-pro"])
@pytest.mark.parametrize(
    ("moment", "is_peak"),
    [
        ("2026-09-30T10:00:00+08:00", True),
        ("2026-10-01T10:00:00+08:00", False),
        ("2026-10-07T17:59:59+08:00", False),
        ("2026-10-08T10:00:00+08:00", True),
        ("2026-10-10T10:00:00+08:00", False),  # a Saturday that is a working day
        ("2026-10-01T01:30:00+00:00", False),  # 9:30 in Beijing
        ("2026-09-30T22:00:00-04:00", False),  # the evening before in New York
        ("2027-02-05T10:00:00+08:00", False),  # the eve of the lunar year
    ],
)
async def test_deepseek_has_no_peak_on_chinese_holidays(model: str, moment: str, is_peak: bool) -> None:
    (deployment,) = Models(await load_catalog("")).chat(model)
    price = deployment.model.price
    cost = cost_microdollars(
        price,
        prompt_tokens=1_000_000,
        cached_tokens=0,
        completion_tokens=0,
        at=datetime.fromisoformat(moment),
    )
    expected = price.peak_input if is_peak else price.input
    assert expected is not None
    assert cost == expected * 1_000_000


def test_the_workdays_that_china_is_off_in_2026() -> None:
    hours = peak("china")
    off = [
        str(day)[5:]
        for day in (date(2026, 1, 1) + timedelta(days=n) for n in range(365))
        if day.weekday() < 5 and day in hours.holidays
    ]
    # As the calendars of `holidays` and `chinesecalendar` have it.
    assert " ".join(off) == (
        "01-01 01-02 02-16 02-17 02-18 02-19 02-20 02-23 04-06 05-01 05-04 05-05 06-19 09-25"
        " 10-01 10-02 10-05 10-06 10-07"
    )


def test_days_of_ones_own_stand_beside_a_calendar() -> None:
    hours = peak("china", date(2027, 2, 9), "2027-02-10")
    for day in (date(2026, 10, 1), date(2027, 2, 9), date(2027, 2, 10)):
        assert not hours.contains(datetime.combine(day, time(2), UTC))  # 10:00 in Beijing
    assert hours.contains(datetime(2027, 2, 11, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    ("entry", "says"), [("mars", "unknown calendar 'mars'.*'china'"), ("2027-13-01", "date"), (7.5, "date")]
)
def test_a_holiday_that_is_none_is_refused(entry: object, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        peak(entry)
