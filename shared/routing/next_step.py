"""What follows a failed call: a pure function, whose decision is a value.

A request at fault is at fault everywhere, and a key or a balance at fault is for a person to see: these are
never asked again. Everything else is asked of another deployment of the model, then of the next fallback. One
deployment is asked twice at most: where the model has no other, after a short pause.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.providers.catalog import Deployment
from shared.providers.failures import FailureKind, UpstreamFailure
from shared.routing.choose import Choice, View, best_of, soonest
from shared.routing.patience import Patience
from shared.routing.route import Route

_NEVER_AGAIN: frozenset[FailureKind] = frozenset(("refused", "unauthorized", "unpaid"))

# Failures that may be over in a moment.
_PASSING: frozenset[FailureKind] = frozenset(("overloaded", "unreachable", "broken"))


@dataclass(frozen=True)
class Attempt:
    """A call that did not give the answer; `hedged` when another was faster."""

    choice: Choice
    failure: UpstreamFailure | None

    @property
    def deployment(self) -> Deployment:
        """Whom it went to."""
        return self.choice.deployment


@dataclass(frozen=True)
class TryNext:
    """Ask this one, after a pause."""

    choice: Choice
    after_seconds: float = 0.0


@dataclass(frozen=True)
class GiveUp:
    """Nothing is left to do, and why."""

    why: str


def next_step(
    failure: UpstreamFailure,
    attempts: Sequence[Attempt],
    route: Route,
    view: View,
    *,
    deadline: float,
    patience: Patience,
) -> TryNext | GiveUp:
    """Decide what follows.

    Args:
        failure: Of the last attempt.
        attempts: All so far, the last included.
        route: Where the request can go.
        view: What is known of the deployments, this failure included.
        deadline: Of the request, on the clock of `view.now`.
        patience: How long to wait for what.
    """
    if failure.kind in _NEVER_AGAIN:
        return GiveUp(f"{failure.kind} would be the same again")
    step = _elsewhere_or_again(failure, attempts, route, view, patience)
    if isinstance(step, TryNext) and view.now + step.after_seconds >= deadline:
        return GiveUp("the deadline of the request is over, or would be")
    return step


def elsewhere(attempts: Sequence[Attempt], route: Route, view: View, *, tier: int = 0) -> Choice | None:
    """A usable deployment that was not tried, of this tier or a later one; `None` if there is none."""
    tried = _tried(attempts)
    for later in range(tier, len(route.tiers)):
        if (choice := best_of(route, later, view, tried)) is not None:
            return choice
    return None


def _elsewhere_or_again(
    failure: UpstreamFailure, attempts: Sequence[Attempt], route: Route, view: View, patience: Patience
) -> TryNext | GiveUp:
    last, tried = attempts[-1].choice, _tried(attempts)
    if (choice := best_of(route, last.tier, view, tried)) is not None:
        return TryNext(choice)
    once = sum(attempt.deployment is last.deployment for attempt in attempts) == 1
    again = replace(last, why="again", rival=None)
    alone = len(route.tiers[last.tier]) == 1
    if once and alone and failure.kind in _PASSING and view.obstacle(last.deployment) is None:
        return TryNext(again, patience.back_off_seconds * (0.5 + view.random.random()))
    if (choice := elsewhere(attempts, route, view, tier=last.tier + 1)) is not None:
        return TryNext(choice)
    if (choice := soonest(route, view, tried)) is not None:
        wait = max(0.0, view.of(choice.deployment).health.cool_until - view.now)
        if wait <= patience.retry_after_seconds:
            return TryNext(choice, wait)
    if once and failure.kind == "rate_limited":
        wait = max(0.0, view.of(last.deployment).health.cool_until - view.now)
        if wait <= patience.retry_after_seconds:
            return TryNext(again, wait)
    return GiveUp("nobody is left to ask")


def _tried(attempts: Sequence[Attempt]) -> frozenset[str]:
    return frozenset(attempt.deployment.deployment_id for attempt in attempts)
