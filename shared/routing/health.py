"""What is known of a deployment: how fast it is, how it fails, whether its breaker is open.

Pure arithmetic. `exchange.lua` does the same in Valkey, where all processes put together what they saw; a
test holds the two together.
"""

from dataclasses import dataclass, replace
from typing import Literal

# Weight of one sample in a moving average.
_SAMPLE_WEIGHT = 0.1

# Seconds after which a success or a failure counts half.
_HALF_LIFE = 20.0

# The breaker opens at this many failures, if they are at least half of what there was: three within some ten
# seconds, as each counts for less than one a moment later.
_MOST_FAILURES = 2.5
_MOST_FAILING = 0.5

# Seconds that the breaker stays open, the first time and at most; each failed probe doubles the pause.
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0

# Seconds after which a latency says nothing any more.
_STALE = 60.0

# 95 % of a normal distribution lie below its mean and this many standard deviations.
_P95_DEVIATIONS = 1.645

# Samples before a p95 means anything.
_P95_SAMPLES = 20

# A deployment whose provider names an absurd time is asked again after this many seconds.
_LONGEST_COOLING = 300.0

State = Literal["closed", "open", "half-open"]


@dataclass(slots=True)
class Samples:
    """Numbers that were seen: how many, their mean, and the sum of squared differences from it."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, other: "Samples") -> None:
        """Put another's numbers to these."""
        if not other.count:
            return
        count = self.count + other.count
        difference = other.mean - self.mean
        self.squares += other.squares + difference * difference * self.count * other.count / count
        self.mean += difference * other.count / count
        self.count = count


@dataclass(slots=True)
class Observed:
    """What a process saw of a deployment since it last told the others. Latencies are in seconds.

    `token_ratio`: tokens that a prompt was billed for, per token estimated. `cool_seconds`: how long the
    provider wants to be left alone. `probe`: how the one request that a half-open breaker lets through went.
    """

    first_token: Samples | None = None
    per_token: Samples | None = None
    token_ratio: Samples | None = None
    successes: int = 0
    failures: int = 0
    cool_seconds: float = 0.0
    probe: Literal["passed", "failed"] | None = None

    def add(self, other: "Observed") -> None:
        """Put what another saw to this."""
        self.first_token = _joined(self.first_token, other.first_token)
        self.per_token = _joined(self.per_token, other.per_token)
        self.token_ratio = _joined(self.token_ratio, other.token_ratio)
        self.successes += other.successes
        self.failures += other.failures
        self.cool_seconds = max(self.cool_seconds, other.cool_seconds)
        self.probe = other.probe or self.probe


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """State of a deployment. Latencies in seconds; moments on the clock of whoever keeps it.

    `open_until` is 0 while the breaker is closed; once it is past, the breaker is half-open until a probe
    passes. `probe_until`: a probe is under way and has this long.
    """

    first_token: float = 0.0
    first_token_variance: float = 0.0
    first_tokens: int = 0
    per_token: float = 0.0
    measured_at: float = 0.0
    token_ratio: float = 1.0
    successes: float = 0.0
    failures: float = 0.0
    counted_at: float = 0.0
    openings: int = 0
    open_until: float = 0.0
    cool_until: float = 0.0
    probe_until: float = 0.0

    def state(self, now: float) -> State:
        """The breaker's."""
        if not self.open_until:
            return "closed"
        return "open" if now < self.open_until else "half-open"

    def expected_seconds(self, tokens: int, now: float) -> float | None:
        """How long an answer of so many tokens should take; `None` while nothing fresh is known."""
        if now - self.measured_at > _STALE or not self.measured_at:
            return None
        return self.first_token + self.per_token * tokens

    @property
    def first_token_p95(self) -> float | None:
        """Seconds within which nearly all first tokens come; `None` before there are enough samples."""
        if self.first_tokens < _P95_SAMPLES:
            return None
        return float(self.first_token + _P95_DEVIATIONS * self.first_token_variance**0.5)

    def probed_until(self, moment: float) -> "Health":
        """The state while a probe is under way."""
        return replace(self, probe_until=moment)

    def after(self, seen: Observed, now: float) -> "Health":
        """The state once this was seen."""
        health = _counted(_measured(self, seen, now), seen, now)
        if seen.cool_seconds:
            until = now + min(seen.cool_seconds, _LONGEST_COOLING)
            health = replace(health, cool_until=max(health.cool_until, until))
        return health


NOTHING_KNOWN = Health()


def _measured(health: Health, seen: Observed, now: float) -> Health:
    changes: dict[str, float] = {}
    if tokens := seen.first_token:
        share = 1.0 if not health.first_tokens else _share(tokens.count)
        difference = tokens.mean - health.first_token
        changes["first_token"] = health.first_token + share * difference
        spread = share * (tokens.squares / tokens.count)
        changes["first_token_variance"] = (1 - share) * (
            health.first_token_variance + share * difference * difference
        ) + spread
        changes["first_tokens"] = health.first_tokens + tokens.count
    if pace := seen.per_token:
        share = 1.0 if not health.per_token else _share(pace.count)
        changes["per_token"] = health.per_token + share * (pace.mean - health.per_token)
    if ratio := seen.token_ratio:
        change = _share(ratio.count) * (ratio.mean - health.token_ratio)
        changes["token_ratio"] = health.token_ratio + change
    if seen.first_token or seen.per_token:
        changes["measured_at"] = now
    return replace(health, **changes) if changes else health  # type: ignore[arg-type]


def _counted(health: Health, seen: Observed, now: float) -> Health:
    if seen.probe == "passed":
        return replace(
            health, successes=0.0, failures=0.0, counted_at=now, openings=0, open_until=0.0, probe_until=0.0
        )
    if not (seen.successes or seen.failures):
        return health
    kept = 0.5 ** (max(0.0, now - health.counted_at) / _HALF_LIFE)
    successes = health.successes * kept + seen.successes
    failures = health.failures * kept + seen.failures
    health = replace(health, successes=successes, failures=failures, counted_at=now)
    failing = failures >= _MOST_FAILURES and failures >= _MOST_FAILING * (successes + failures)
    state = health.state(now)
    if (state == "closed" and seen.failures and failing) or (state == "half-open" and seen.probe == "failed"):
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**health.openings)
        return replace(health, openings=health.openings + 1, open_until=now + pause, probe_until=0.0)
    return health


def _share(count: int) -> float:
    """What so many samples weigh together beside the average so far."""
    return float(1 - (1 - _SAMPLE_WEIGHT) ** count)


def _joined(one: Samples | None, other: Samples | None) -> Samples | None:
    if one is None or other is None:
        return Samples(other.count, other.mean, other.squares) if other else one
    one.add(other)
    return one
