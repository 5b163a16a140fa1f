"""Metrics in CloudWatch's embedded format, from usage records."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from accounting.metrics import emit_usage
from shared.ledger.usage import Leg, UsageRecord, total_of
from shared.telemetry import emit_breaker
from tests.unit.ledger.test_usage import FIELDS, LEG

# CloudWatch's limits, to which Powertools holds us, count from the real now.
NOW = datetime.now(UTC)
MINUTE = (NOW - timedelta(hours=1)).replace(second=0, microsecond=0)

Emitted = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def emitted(capsys: pytest.CaptureFixture[str]) -> Emitted:
    def emit(*records: UsageRecord) -> list[dict[str, Any]]:
        emit_usage(records, NOW)
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return emit


def record(**change: object) -> UsageRecord:
    return UsageRecord.model_validate(FIELDS | {"created_at": MINUTE} | change)


def dimensions(line: dict[str, Any]) -> list[set[str]]:
    return [set(names) for names in line["_aws"]["CloudWatchMetrics"][0]["Dimensions"]]


def test_requests_of_one_model_in_one_minute_are_one_line(emitted: Emitted) -> None:
    (line,) = emitted(
        record(first_token_ms=90, duration_ms=300),
        record(created_at=MINUTE + timedelta(seconds=59.9), duration_ms=100, cached_tokens=8),
    )
    assert line["_aws"]["Timestamp"] == MINUTE.timestamp() * 1000
    assert line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Weir"
    assert dimensions(line) == [{"service", "provider", "model", "outcome"}, {"service", "outcome"}]
    assert (line["service"], line["provider"], line["model"], line["outcome"]) == (
        "gateway",
        "deepseek",
        "deepseek-flash",
        "completed",
    )
    assert (line["Requests"], line["Latency"], line["FirstToken"]) == ([2], [300, 100], [90])
    assert (line["PromptTokens"], line["CachedTokens"], line["CompletionTokens"]) == ([24], [8], [6])
    assert (line["CostMicrodollars"], line["SavedMicrodollars"], line["CacheMisses"]) == ([8], [0], [2])
    named = {metric["Name"]: metric["Unit"] for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert (named["Latency"], named["Requests"]) == ("Milliseconds", "Count")
    assert set(named) <= set(line)


def test_models_outcomes_and_minutes_are_told_apart(emitted: Emitted) -> None:
    lines = emitted(
        record(),
        record(model="other"),
        record(outcome="failed"),
        record(created_at=MINUTE + timedelta(minutes=1)),
    )
    assert [line["Requests"] for line in lines] == [[1]] * 4


def test_what_the_cache_answered_does_not_pass_for_the_models_speed(emitted: Emitted) -> None:
    (line,) = emitted(
        record(cache_outcome="hit", duration_ms=1, first_token_ms=1, saved_microdollars=4),
        record(cache_outcome="semantic", duration_ms=9, saved_microdollars=5),
        record(cache_outcome="joined", duration_ms=200, saved_microdollars=6),
        record(cache_outcome="off", duration_ms=300),
    )
    assert (line["CacheLatency"], line["Latency"]) == ([1, 9], [200, 300])
    assert "FirstToken" not in line
    assert (line["CacheHits"], line["CacheSemanticHits"], line["CacheJoined"]) == ([1], [1], [1])
    assert "CacheMisses" not in line
    assert line["SavedMicrodollars"] == [15]


def test_failed_legs_are_counted_by_who_failed_and_why(emitted: Emitted) -> None:
    legs = [
        Leg.model_validate(LEG | {"outcome": "failed", "failure": "timeout", "provider": "slow"}),
        Leg.model_validate(LEG | {"outcome": "hedged"}),
        Leg.model_validate(LEG | {"prompt_tokens": 5}),
    ]
    fields = {**total_of(legs).model_dump(), "legs": legs}
    requests, failures = emitted(record(**fields), record(**fields))
    assert (requests["Requests"], requests["PromptTokens"]) == ([2], [10])
    assert (failures["provider"], failures["failure"], failures["UpstreamFailures"]) == (
        "slow",
        "timeout",
        [2],
    )
    assert dimensions(failures) == [{"service", "provider", "model", "failure"}, {"service"}]


@pytest.mark.parametrize("count", [99, 100, 198, 250])
def test_no_line_has_more_values_than_an_array_may_hold(emitted: Emitted, count: int) -> None:
    lines = emitted(*(record(duration_ms=n) for n in range(count)))
    assert [value for line in lines for value in line["Latency"]] == list(range(count))
    assert max(len(line["Latency"]) for line in lines) <= 100
    assert sum(line["Requests"][0] for line in lines) == count


def test_what_cloudwatch_would_not_take_is_left_out(emitted: Emitted) -> None:
    assert (
        emitted(record(created_at=NOW - timedelta(days=14)), record(created_at=NOW + timedelta(hours=2)))
        == []
    )
    assert len(emitted(record(created_at=NOW - timedelta(days=13)))) == 1


@pytest.mark.parametrize(("state", "value"), [("closed", 0), ("open", 1)])
def test_a_breakers_change_is_one_line(capsys: pytest.CaptureFixture[str], state: Any, value: float) -> None:
    emit_breaker("deepseek/deepseek-flash#2", state)
    (text,) = capsys.readouterr().out.splitlines()
    line = json.loads(text)
    assert (line["deployment"], line["BreakerState"]) == ("deepseek/deepseek-flash#2", [value])
    assert dimensions(line) == [{"service", "deployment"}, {"service"}]
