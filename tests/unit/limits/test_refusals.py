"""A refusal names whose limit it is, what is left, and when to come back."""

from datetime import UTC, datetime

import pytest

from shared.errors import BudgetError, RateLimitError
from shared.limits.limits import Demand, Limits, Meter
from shared.limits.refusals import Refusal, impossible, refused
from shared.limits.scopes import Scope

NOW = datetime(2026, 11, 24, 23, 0, tzinfo=UTC)
LIMITS = Limits(
    requests_per_minute=60,
    tokens_per_minute=1000,
    concurrent_requests=5,
    budget_per_day=5_000_000,
    budget_per_month=50_000_000,
)
KEY, TENANT, MODEL = Scope("key", "key_1", LIMITS), Scope("tenant", "", LIMITS), Scope("model", "gpt", LIMITS)
DEMAND = Demand(tokens=500, cost_microdollars=200_000, lease_seconds=60)


def refusal(scope: Scope, meter: Meter, **more: int) -> RateLimitError:
    values = {"left": 0, "wait_ms": 2_500, **more}
    return refused(Refusal(scope=scope, meter=meter, **values), DEMAND, NOW)


@pytest.mark.parametrize("meter", ["requests", "tokens", "concurrent_requests"])
@pytest.mark.parametrize(
    ("scope", "name"), [(KEY, "this key"), (TENANT, "this tenant"), (MODEL, "the model 'gpt'")]
)
def test_meter_and_scope_are_named(meter: Meter, scope: Scope, name: str) -> None:
    error = refusal(scope, meter)
    assert (error.status, error.error_code, error.body()["error"]["type"]) == (429, meter, "rate_limit_error")
    assert name in error.message
    assert "x-should-retry" not in error.headers


def test_a_wait_is_rounded_up() -> None:
    error = refusal(KEY, "requests")
    assert error.headers["retry-after"] == "3"
    assert error.message == "The limit of 60 requests per minute for this key is reached; try again in 3 s."


def test_tokens_say_what_is_left() -> None:
    assert "needs about 500 of them and 300 are left" in refusal(KEY, "tokens", left=300).message


def test_requests_under_way_may_end_any_moment() -> None:
    assert refusal(KEY, "concurrent_requests", wait_ms=600_000).retry_after == 2


def test_money_that_is_spent_comes_back_with_the_next_day() -> None:
    error = refusal(TENANT, "budget_per_day", left=120_000, wait_ms=3_600_000)
    assert isinstance(error, BudgetError)
    assert error.body()["error"]["type"] == error.error_code == "insufficient_quota"
    assert error.headers == {"retry-after": "3600", "x-should-retry": "false"}
    assert error.message == (
        "Of the budget of $5 per day for this tenant $0.12 is left, and this request may cost $0.2;"
        " it is renewed at 2026-11-25 00:00 UTC."
    )


def test_a_month_ends_with_the_month() -> None:
    error = refusal(KEY, "budget_per_month")
    assert "$50 per month for this key" in error.message
    assert "2026-12-01 00:00 UTC" in error.message


def test_money_that_is_held_may_come_back_any_moment() -> None:
    error = refusal(KEY, "budget_per_day", held=4_000_000, wait_ms=600_000)
    assert isinstance(error, BudgetError)
    assert error.headers == {"retry-after": "2"}
    assert "$4 is held by requests under way" in error.message


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(tokens_per_minute=499), ["500 tokens", "499 per minute in all"]),
        (Limits(budget_per_day=199_999), ["$0.2,", "$0.199999 per day in all"]),
        (Limits(budget_per_month=0), ["$0 per month in all"]),
    ],
)
def test_what_can_never_pass_is_told_so(limits: Limits, words: list[str]) -> None:
    error = impossible(Scope("key", "k", limits), DEMAND, NOW)
    assert error is not None
    assert all(word in error.message for word in words)
    assert error.headers["x-should-retry"] == "false"


def test_what_fits_may_pass() -> None:
    exact = Limits(tokens_per_minute=500, budget_per_day=200_000, budget_per_month=200_000)
    assert impossible(Scope("key", "k", exact), DEMAND, NOW) is None
