"""Public holidays that prices depend on, by calendar. Weekends that are made working days are in none."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta

# First and last days. The State Council decrees each year's, mostly in the November before, on gov.cn:
# 国务院办公厅关于…年部分节假日安排的通知. Before a year's notice only those days are here that the law itself
# makes free (全国年节及纪念日放假办法), so that a price is at most taken too high.
_CHINA = (
    # 2026: notice of 2025-11-04 (国办发明电〔2025〕7号).
    (date(2026, 1, 1), date(2026, 1, 3)),
    (date(2026, 2, 15), date(2026, 2, 23)),
    (date(2026, 4, 4), date(2026, 4, 6)),
    (date(2026, 5, 1), date(2026, 5, 5)),
    (date(2026, 6, 19), date(2026, 6, 21)),
    (date(2026, 9, 25), date(2026, 9, 27)),
    (date(2026, 10, 1), date(2026, 10, 7)),
    # 2027, by law: new year, eve and first three days of the lunar year, Qingming, Labour Day, Dragon Boat,
    # Mid-Autumn, National Day. The notice adds substitutes for weekends.
    (date(2027, 1, 1), date(2027, 1, 1)),
    (date(2027, 2, 5), date(2027, 2, 8)),
    (date(2027, 4, 5), date(2027, 4, 5)),
    (date(2027, 5, 1), date(2027, 5, 2)),
    (date(2027, 6, 9), date(2027, 6, 9)),
    (date(2027, 9, 15), date(2027, 9, 15)),
    (date(2027, 10, 1), date(2027, 10, 3)),
)


def _days(spans: tuple[tuple[date, date], ...]) -> Iterator[date]:
    for first, last in spans:
        yield from (first + timedelta(days=n) for n in range((last - first).days + 1))


_CALENDARS: Mapping[str, frozenset[date]] = {"china": frozenset(_days(_CHINA))}


def expand_calendars(entries: object) -> object:
    """Put the days of a calendar in the place of its name; what is no name stays for others to judge.

    Raises:
        ValueError: A name that is neither a calendar's nor a date.
    """
    if not isinstance(entries, list | tuple | set | frozenset):
        return entries
    days: list[object] = []
    for entry in entries:
        if not isinstance(entry, str) or entry[:1].isdigit():
            days.append(entry)
        elif entry in _CALENDARS:
            days.extend(_CALENDARS[entry])
        else:
            names = ", ".join(map(repr, _CALENDARS))
            raise ValueError(f"unknown calendar {entry!r}; give dates such as 2027-01-01, or one of {names}")
    return days
