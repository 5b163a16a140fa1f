"""Metrics of requests, printed as EMF lines from what is booked, so that no request waits for them.

A request counts in the minute in which it was sent. Dimensions are the catalog's names and closed sets, never
a tenant, a key or a request: each combination is a metric that CloudWatch charges for.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.ledger.usage import CacheOutcome, Outcome, UsageRecord
from shared.telemetry import GATEWAY, EphemeralMetrics, MetricUnit, gateway_metrics

# CloudWatch takes two weeks of the past and two hours of the future; it reads the line a little later.
_OLDEST, _NEWEST = timedelta(days=14, hours=-1), timedelta(hours=2, minutes=-5)

# An EMF array holds 100 values; Powertools prints by itself when it has them.
_VALUES = 99

_CACHE_METRICS: dict[CacheOutcome, str] = {
    "hit": "CacheHits",
    "semantic": "CacheSemanticHits",
    "joined": "CacheJoined",
    "miss": "CacheMisses",
}


@dataclass(frozen=True)
class _Requests:
    minute: datetime
    provider: str
    model: str
    outcome: Outcome


@dataclass(frozen=True)
class _Failures:
    minute: datetime
    provider: str
    model: str
    failure: str


def emit_usage(records: Iterable[UsageRecord], now: datetime) -> None:
    """Print the metrics of newly booked records; those too old or too new for CloudWatch have none."""
    fresh = [record for record in records if now - _OLDEST <= record.created_at <= now + _NEWEST]
    for group, members in _grouped(fresh).items():
        for start in range(0, len(members), _VALUES):
            _emit_requests(group, members[start : start + _VALUES])
    for failures, count in Counter(_failures(fresh)).items():
        _emit_failures(failures, count)


def _grouped(records: Iterable[UsageRecord]) -> dict[_Requests, list[UsageRecord]]:
    groups: defaultdict[_Requests, list[UsageRecord]] = defaultdict(list)
    for record in records:
        groups[_Requests(_minute(record), record.provider, record.model, record.outcome)].append(record)
    return groups


def _failures(records: Iterable[UsageRecord]) -> Iterator[_Failures]:
    for record in records:
        for leg in record.legs:
            if leg.failure is not None:
                yield _Failures(_minute(record), leg.provider, leg.model, leg.failure)


def _minute(record: UsageRecord) -> datetime:
    return record.created_at.replace(second=0, microsecond=0)


def _emit_requests(group: _Requests, records: Sequence[UsageRecord]) -> None:
    line = gateway_metrics(provider=group.provider, model=group.model, outcome=group.outcome)
    line.add_dimensions(service=GATEWAY, outcome=group.outcome)
    line.set_timestamp(group.minute)
    line.add_metric("Requests", MetricUnit.Count, len(records))
    for record in records:
        _add_latency(line, record)
    _add_sums(line, records)
    line.flush_metrics()


def _add_latency(line: EphemeralMetrics, record: UsageRecord) -> None:
    if record.cache_outcome in ("hit", "semantic"):
        # These would hide how fast the model is.
        line.add_metric("CacheLatency", MetricUnit.Milliseconds, record.duration_ms)
        return
    line.add_metric("Latency", MetricUnit.Milliseconds, record.duration_ms)
    if record.first_token_ms is not None:
        line.add_metric("FirstToken", MetricUnit.Milliseconds, record.first_token_ms)


def _add_sums(line: EphemeralMetrics, records: Sequence[UsageRecord]) -> None:
    line.add_metric("PromptTokens", MetricUnit.Count, sum(r.prompt_tokens for r in records))
    line.add_metric("CachedTokens", MetricUnit.Count, sum(r.cached_tokens for r in records))
    line.add_metric("CompletionTokens", MetricUnit.Count, sum(r.completion_tokens for r in records))
    line.add_metric("CostMicrodollars", MetricUnit.NoUnit, sum(r.cost_microdollars for r in records))
    line.add_metric("SavedMicrodollars", MetricUnit.NoUnit, sum(r.saved_microdollars for r in records))
    outcomes = Counter(record.cache_outcome for record in records)
    for outcome, name in _CACHE_METRICS.items():
        # Without a cache in use there is nothing to chart, and no metric to pay for.
        if outcomes[outcome]:
            line.add_metric(name, MetricUnit.Count, outcomes[outcome])


def _emit_failures(group: _Failures, count: int) -> None:
    line = gateway_metrics(provider=group.provider, model=group.model, failure=group.failure)
    line.add_dimensions(service=GATEWAY)
    line.set_timestamp(group.minute)
    line.add_metric("UpstreamFailures", MetricUnit.Count, count)
    line.flush_metrics()
