"""The headers that tell what is left."""

import pytest

from shared.limits.allowance import UNMETERED, Allowance, Left, duration, tightest


def test_nothing_limited_has_no_headers() -> None:
    assert UNMETERED.headers() == {}


def test_headers_are_openais() -> None:
    allowance = Allowance(
        requests=Left(limit=60, left=59, whole_in_ms=1000),
        tokens=Left(limit=150_000, left=149_984, whole_in_ms=6),
    )
    assert allowance.headers() == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-tokens": "149984",
        "x-ratelimit-reset-tokens": "6ms",
    }


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0ms"),
        (999, "999ms"),
        (1000, "1s"),
        (8640, "8.64s"),
        (59_999, "59.999s"),
        (90_000, "1m30s"),
        (7_205_000, "2h0m5s"),
    ],
)
def test_durations(milliseconds: int, text: str) -> None:
    assert duration(milliseconds) == text


def test_the_tightest_scope_speaks() -> None:
    wide, tight = Left(limit=100, left=50, whole_in_ms=1), Left(limit=60, left=2, whole_in_ms=1)
    assert tightest([wide, tight]) is tight
    assert tightest([]) is None
