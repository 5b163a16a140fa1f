"""When a scrape comes again."""

from datetime import UTC, datetime

import pytest

from shared.errors import InvalidRequestError
from shared.web.schedules import next_run

NOW = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "timezone", "expected"),
    [
        ("0 3 * * *", "UTC", datetime(2026, 3, 29, 3, 0, tzinfo=UTC)),
        ("0 3 * * 1", "UTC", datetime(2026, 3, 30, 3, 0, tzinfo=UTC)),
        # Summer time begins that night.
        ("0 4 * * *", "Europe/Berlin", datetime(2026, 3, 29, 2, 0, tzinfo=UTC)),
        ("*/15 * * * *", "UTC", datetime(2026, 3, 28, 12, 15, tzinfo=UTC)),
        ("0 0 1 * *", "Asia/Shanghai", datetime(2026, 3, 31, 16, 0, tzinfo=UTC)),
    ],
)
def test_next_run(cron: str, timezone: str, expected: datetime) -> None:
    assert next_run(cron, timezone, NOW) == expected


@pytest.mark.parametrize("cron", ["", "0 3 * *", "61 * * * *", "0 3 30 2 *", "every day", "0 0 0 0 0 0 0"])
def test_a_time_that_never_comes_is_refused(cron: str) -> None:
    with pytest.raises(InvalidRequestError) as error:
        next_run(cron, "UTC", NOW)
    assert error.value.param == "schedule.cron"


@pytest.mark.parametrize("timezone", ["", "Mars/Olympus", "../../etc/passwd"])
def test_a_zone_that_is_not_there_is_refused(timezone: str) -> None:
    with pytest.raises(InvalidRequestError) as error:
        next_run("0 3 * * *", timezone, NOW)
    assert error.value.param == "schedule.timezone"
