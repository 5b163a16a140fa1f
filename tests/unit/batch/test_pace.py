"""What failures mean for a line, and how a batch pauses."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.batch.pace import LONGEST_DELAY, Run, delay_until, pause_from, verdict_on
from shared.errors import (
    BudgetError,
    InvalidRequestError,
    NotFoundError,
    RateLimitError,
    UnavailableError,
    UpstreamError,
    WeirError,
)

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (RateLimitError("slow", retry_after=1), "wait"),
        (RateLimitError("never", retry_after=60, code="tokens", should_retry=False), "final"),
        (BudgetError("spent", retry_after=60, should_retry=False), "wait"),
        (UnavailableError("gone"), "wait"),
        (UpstreamError("broken"), "again"),
        (InvalidRequestError("wrong"), "final"),
        (NotFoundError("no such model"), "final"),
    ],
)
def test_what_an_error_says_of_a_line(error: WeirError, verdict: str) -> None:
    assert verdict_on(error) == verdict


def test_a_run_pauses_when_it_is_asked_to() -> None:
    run = Run()
    assert run.pause is None
    run.failed(RateLimitError("slow", retry_after=7), "wait")
    run.failed(RateLimitError("slow", retry_after=3), "wait")
    assert run.pause == 7


def test_a_run_pauses_when_nothing_is_answered_any_more() -> None:
    run, error = Run(), UpstreamError("broken")
    for _ in range(2):
        run.failed(error, "again")
        run.failed(error, "again")
        assert run.pause is None
        run.completed()
    for _ in range(3):
        run.failed(error, "again")
    assert run.pause == 0


def test_pauses_grow_to_five_minutes() -> None:
    lengths = [(pause_from(NOW, 0, 2.0, count).until - NOW).total_seconds() for count in range(9)]
    assert lengths == [2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert pause_from(NOW, 30, 2.0, 0).until == NOW + timedelta(seconds=30)
    assert pause_from(NOW, 86_400, 2.0, 0).until == NOW + timedelta(minutes=5)
    assert pause_from(NOW, 0, 2.0, 10_000).count == 10_001


@pytest.mark.parametrize(
    ("seconds", "spread", "delay"),
    [(-5, 1, 0), (0, 1, 0), (0.2, 0, 1), (10, 0, 10), (10, 1, 15), (5000, 0, LONGEST_DELAY)],
)
def test_messages_are_put_off_in_whole_seconds(seconds: float, spread: float, delay: int) -> None:
    assert delay_until(NOW + timedelta(seconds=seconds), NOW, spread=spread) == delay
