"""The health of deployments as this process knows it, shared with all others through Valkey.

A choice reads the local copy. What a process sees changes its copy at once and gathers; when the copy is a
second old, the next choice makes one call that hands over what gathered and brings what all others saw. A
busy server calls once a second, a Lambda at most once a request. A failure is handed over at once. Without
Valkey the local copy serves alone.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from shared.providers.catalog import Deployment
from shared.routing.budget import RetryBudget
from shared.routing.exchange import Asked, Exchange, Told, told
from shared.routing.health import NOTHING_KNOWN, Health, Observed, Samples
from shared.telemetry import emit_breaker
from shared.valkey.client import Valkey

# Seconds for which the local copy is good enough to choose by.
_FRESH = 1.0

# Seconds that a probe may take before another request is let through.
_PROBE_SECONDS = 15.0

# An estimate further off than this was of something else than text.
_LEAST_RATIO, _MOST_RATIO = 0.2, 5.0


@dataclass(slots=True)
class Standing:
    """One deployment: its health, the calls that this process has under way, what it has yet to hand over.

    `shared` is the health without what has gathered since.
    """

    health: Health = NOTHING_KNOWN
    in_flight: int = 0
    shared: Health = NOTHING_KNOWN
    gathered: Observed | None = None

    def see(self, seen: Observed, now: float) -> None:
        """Take note of what was seen."""
        if self.gathered is None:
            self.gathered = Observed()
        self.gathered.add(seen)
        # Averages may wait for the next exchange; what keeps requests away may not.
        if seen.failures or seen.cool_seconds or seen.probe:
            self.health = self.shared.after(self.gathered, now)

    def hand_over(self, now: float) -> Observed | None:
        """What has gathered, which from now on counts as shared."""
        if (gathered := self.gathered) is not None:
            self.health = self.shared = self.shared.after(gathered, now)
            self.gathered = None
        return gathered

    def take_over(self, shared: Health, now: float) -> None:
        """Go on from what all processes know."""
        self.shared = shared
        self.health = shared.after(self.gathered, now) if self.gathered else shared


class HealthBoard:
    """Health of all deployments that were considered so far, and the retry budget."""

    def __init__(self, valkey: Valkey | None, clock: Callable[[], float]) -> None:
        """Args:
        valkey: Where health is shared, if anywhere.
        clock: Seconds of a clock that never goes back.
        """
        self._exchange = Exchange(valkey) if valkey is not None else None
        self._clock = clock
        self._standings: dict[str, Standing] = {}
        self._budget = RetryBudget(at=clock())
        self._requests = 0
        self._read_at = -math.inf
        self._exchanging = False

    @property
    def standings(self) -> Mapping[str, Standing]:
        """By deployment id; only to be read."""
        return self._standings

    def standing(self, deployment_id: str) -> Standing:
        """One deployment's; a new one for a deployment that was never considered."""
        standing = self._standings.get(deployment_id)
        if standing is None:
            standing = self._standings[deployment_id] = Standing()
            self._read_at = -math.inf
        return standing

    async def begin_request(self, deployments: Iterable[Deployment]) -> None:
        """Count a request, and have these deployments' health fresh."""
        self._requests += 1
        for deployment in deployments:
            if deployment.deployment_id not in self._standings:
                self.standing(deployment.deployment_id)
        # Requests that come meanwhile go by what is known, rather than wait too.
        if self._clock() - self._read_at >= _FRESH and not self._exchanging:
            await self._trade()

    def see(self, deployment: Deployment, seen: Observed) -> None:
        """Take note of what a call to a deployment showed."""
        standing = self.standing(deployment.deployment_id)
        was_open = bool(standing.health.open_until)
        standing.see(seen, self._clock())
        # Said by whoever saw it, not by all that hear of it.
        if bool(standing.health.open_until) != was_open:
            emit_breaker(deployment.deployment_id, "closed" if was_open else "open")

    async def see_failure(self, deployment: Deployment, seen: Observed) -> None:
        """As `see`, and tell the others at once."""
        self.see(deployment, seen)
        if self._exchanging:
            # A storm of failures makes no storm of calls: the next choice hands it over.
            self._read_at = -math.inf
        else:
            await self._trade()

    async def take_probe(self, deployment: Deployment) -> bool:
        """Whether this request may be the one that a half-open breaker lets through."""
        answer = await self._trade(probe_of=deployment.deployment_id)
        if answer is not None:
            return answer.probe
        standing, now = self.standing(deployment.deployment_id), self._clock()
        if now < standing.health.probe_until:
            return False
        standing.take_over(standing.shared.probed_until(now + _PROBE_SECONDS), now)
        return True

    async def take_retry(self) -> bool:
        """Whether the retry budget allows one more."""
        answer = await self._trade(retry=True)
        if answer is not None:
            return answer.retry
        left = self._budget.less_one()
        self._budget = left or self._budget
        return left is not None

    def see_usage(self, deployment: Deployment, *, estimated: int, actual: int) -> None:
        """Take note of how many tokens a prompt had, beside the estimate."""
        if estimated > 0 and actual > 0:
            ratio = min(_MOST_RATIO, max(_LEAST_RATIO, actual / estimated))
            seen = Observed(token_ratio=Samples(1, ratio))
            self.standing(deployment.model_id).see(seen, self._clock())

    def token_ratio(self, deployment: Deployment) -> float:
        """Actual tokens per estimated one, over the last prompts to this model; 1 while unknown."""
        standing = self._standings.get(deployment.model_id)
        return standing.health.token_ratio if standing else 1.0

    async def _trade(self, *, retry: bool = False, probe_of: str | None = None) -> Told | None:
        """Hand over what gathered and take over what others know; `None` without Valkey."""
        now = self._read_at = self._clock()
        requests, self._requests = self._requests, 0
        self._budget = self._budget.after(requests, now)
        asked = Asked(
            seen={i: standing.hand_over(now) for i, standing in self._standings.items()},
            requests=requests,
            retry=retry,
            probe_of=probe_of,
            probe_seconds=_PROBE_SECONDS,
        )
        if self._exchange is None:
            return None
        self._exchanging = True
        try:
            answer = await self._exchange(asked)
        finally:
            self._exchanging = False
        if answer is None:
            return None
        now = self._clock()
        told_now = told(asked, answer, now)
        for deployment_id, health in told_now.states.items():
            self._standings[deployment_id].take_over(health, now)
        return told_now
