"""Which deployment to ask: a pure function of the route, what is known of each, and chance.

The first tier that has a usable deployment, in it the lowest priority number. Two are drawn by weight; the
first stands unless the second should be done in clearly less time. So weights hold among equals, and a slow
deployment loses its share. A deployment is not usable while its breaker is open or its provider asked to be
left alone. A half-open one gets one request, the probe. When none is usable, the one that is so the soonest
is asked all the same: a breaker alone never fails a request.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from shared.providers.catalog import Deployment
from shared.routing.board import Standing
from shared.routing.route import Route

Why = Literal["only", "weight", "faster", "probe", "soonest", "again"]
Obstacle = Literal["tried", "open", "probed", "cooling"]

# The second of two is taken when it should be done in less than this share of the first's time.
_CLEARLY = 0.8

# Lowest time that counts, in seconds: below it all are equally fast.
_LEAST_SECONDS = 0.001

_UNKNOWN = Standing()


@dataclass(frozen=True, slots=True)
class Choice:
    """A deployment to ask and why. `probe`: its success closes the breaker. `rival`: the one it won over."""

    deployment: Deployment
    tier: int
    why: Why
    probe: bool = False
    rival: Deployment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a choice is made by. `now` is on the clock of the standings; `tokens`: of the answer, expected."""

    standings: Mapping[str, Standing]
    now: float
    tokens: int
    random: Random

    def of(self, deployment: Deployment) -> Standing:
        """A deployment's standing."""
        return self.standings.get(deployment.deployment_id, _UNKNOWN)

    def obstacle(self, deployment: Deployment) -> Obstacle | None:
        """Why a deployment is not usable now; `None` if it is."""
        health = self.of(deployment).health
        if health.cool_until > self.now:
            return "cooling"
        if not health.open_until:
            return None
        if health.open_until > self.now:
            return "open"
        return "probed" if health.probe_until > self.now else None


def choose(route: Route, view: View, tried: frozenset[str] = frozenset()) -> Choice | None:
    """The deployment to ask; `None` when all were tried.

    Args:
        route: Where the request can go.
        view: What is known.
        tried: Ids of deployments that are not to be asked.
    """
    for tier in range(len(route.tiers)):
        if (choice := best_of(route, tier, view, tried)) is not None:
            return choice
    return soonest(route, view, tried)


def best_of(route: Route, tier: int, view: View, tried: frozenset[str]) -> Choice | None:
    """The usable deployment of one tier to ask; `None` if there is none."""
    deployments = route.tiers[tier]
    usable = [d for d in deployments if d.deployment_id not in tried and view.obstacle(d) is None]
    if not usable:
        return None
    if len(usable) > 1:
        first = min(d.model.priority for d in usable)
        usable = [d for d in usable if d.model.priority == first]
    for deployment in usable:
        if view.of(deployment).health.open_until:
            return Choice(deployment, tier, "probe", probe=True)
    return Choice(usable[0], tier, "only") if len(usable) == 1 else _faster_of_two(usable, tier, view)


def soonest(route: Route, view: View, tried: frozenset[str]) -> Choice | None:
    """Of those that are not usable, the one that is so first; `None` when all were tried."""
    left = [
        (max(health.open_until, health.cool_until), tier, deployment)
        for tier, deployments in enumerate(route.tiers)
        for deployment in deployments
        if deployment.deployment_id not in tried
        for health in (view.of(deployment).health,)
    ]
    if not left:
        return None
    _, tier, deployment = min(left, key=lambda entry: entry[:2])
    return Choice(deployment, tier, "soonest", probe=view.of(deployment).health.open_until > 0)


def _faster_of_two(usable: Sequence[Deployment], tier: int, view: View) -> Choice:
    first = _drawn(usable, view.random)
    second = _drawn([d for d in usable if d is not first], view.random)
    one, other = _seconds(first, view), _seconds(second, view)
    # Of an unknown one nothing is expected: the draw stands, and shows how fast it is.
    if one is not None and other is not None and other < one * _CLEARLY:
        return Choice(second, tier, "faster", rival=first)
    return Choice(first, tier, "weight", rival=second)


def _drawn(deployments: Sequence[Deployment], random: Random) -> Deployment:
    if len(deployments) == 1:
        return deployments[0]
    point = random.random() * sum(d.model.weight for d in deployments)
    for deployment in deployments:
        point -= deployment.model.weight
        if point < 0:
            return deployment
    return deployments[-1]


def _seconds(deployment: Deployment, view: View) -> float | None:
    """Expected time of an answer, longer with each call that this process has under way there."""
    standing = view.of(deployment)
    expected = standing.health.expected_seconds(view.tokens, view.now)
    if expected is None:
        # One call finds out; meanwhile the last that was known holds.
        if not standing.in_flight or not standing.health.measured_at:
            return None
        expected = standing.health.first_token + standing.health.per_token * view.tokens
    return max(expected, _LEAST_SECONDS) * (1 + standing.in_flight / deployment.model.weight)
