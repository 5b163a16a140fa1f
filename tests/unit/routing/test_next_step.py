"""What follows a failed call."""

import pytest

from shared.providers.failures import UpstreamFailure
from shared.routing.choose import Choice
from shared.routing.next_step import Attempt, GiveUp, TryNext, next_step
from shared.routing.patience import Patience
from shared.routing.route import Route
from tests.unit.routing.deployments import NOW, World, deployment, known

A, B, C = deployment("a"), deployment("b"), deployment("c")
PATIENCE = Patience(back_off_seconds=0.2, retry_after_seconds=2.0)


def after(route: Route, *failed, world: World | None = None, deadline: float = NOW + 100):
    """The step after these failures: each a deployment and a kind, all of tier 0 unless a third says so."""
    attempts = [
        Attempt(Choice(d, tier[0] if tier else 0, "only"), UpstreamFailure(kind, d.provider.name, "m"))
        for d, kind, *tier in failed
    ]
    view = (world or World()).view()
    failure = attempts[-1].failure
    return next_step(failure, attempts, route, view, deadline=deadline, patience=PATIENCE)


@pytest.mark.parametrize("kind", ["refused", "unauthorized", "unpaid"])
def test_what_would_be_the_same_again_is_not_tried_again(kind) -> None:
    assert isinstance(after(Route(((A, B), (C,))), (A, kind)), GiveUp)


@pytest.mark.parametrize("kind", ["rate_limited", "overloaded", "timeout", "unreachable", "broken"])
def test_another_deployment_of_the_model_comes_first(kind) -> None:
    step = after(Route(((A, B), (C,))), (A, kind))

    assert isinstance(step, TryNext)
    assert (step.choice.deployment, step.after_seconds) == (B, 0)


@pytest.mark.parametrize("kind", ["rate_limited", "overloaded", "timeout", "unreachable", "broken"])
def test_then_the_fallback(kind) -> None:
    step = after(Route(((A, B), (C,))), (A, kind), (B, kind))

    assert isinstance(step, TryNext)
    assert (step.choice.deployment, step.choice.tier) == (C, 1)


@pytest.mark.parametrize("kind", ["overloaded", "unreachable", "broken"])
def test_the_only_deployment_is_asked_once_more_before_the_fallback(kind) -> None:
    step = after(Route(((A,), (C,))), (A, kind))
    assert isinstance(step, TryNext)
    assert (step.choice.deployment, step.choice.why) == (A, "again")
    assert 0.1 <= step.after_seconds <= 0.3

    step = after(Route(((A,), (C,))), (A, kind), (A, kind))
    assert isinstance(step, TryNext)
    assert step.choice.deployment is C


def test_who_ran_out_of_time_is_not_asked_once_more() -> None:
    assert isinstance(after(Route(((A,),)), (A, "timeout")), GiveUp)


def test_whose_breaker_just_opened_is_not_asked_once_more() -> None:
    world = World({"a": known(open_until=NOW + 1, openings=1)})

    step = after(Route(((A,), (C,))), (A, "overloaded"), world=world)

    assert isinstance(step, TryNext)
    assert step.choice.deployment is C


def test_the_last_resort_is_an_open_breaker_not_tried_yet() -> None:
    world = World({"b": known(open_until=NOW + 9, openings=3)})

    step = after(Route(((A, B),)), (A, "timeout"), world=world)

    assert isinstance(step, TryNext)
    assert (step.choice.deployment, step.choice.why, step.choice.probe) == (B, "soonest", True)


@pytest.mark.parametrize(("seconds", "waits"), [(1.5, True), (30, False)])
def test_a_limit_is_waited_for_when_it_is_short_and_nobody_else_is_there(seconds, waits) -> None:
    world = World({"a": known(cool_until=NOW + seconds)})

    step = after(Route(((A,),)), (A, "rate_limited"), world=world)

    assert isinstance(step, TryNext) == waits
    if isinstance(step, TryNext):
        assert (step.choice.deployment, step.after_seconds) == (A, pytest.approx(seconds))
        assert isinstance(
            after(Route(((A,),)), (A, "rate_limited"), (A, "rate_limited"), world=world), GiveUp
        )


def test_nothing_is_tried_after_the_deadline() -> None:
    assert isinstance(after(Route(((A, B),)), (A, "overloaded"), deadline=NOW), GiveUp)
    assert isinstance(after(Route(((A,),)), (A, "overloaded"), deadline=NOW + 0.05), GiveUp)


def test_when_all_were_tried_it_ends() -> None:
    step = after(
        Route(((A, B), (C,))), (A, "timeout"), (B, "timeout"), (C, "overloaded", 1), (C, "broken", 1)
    )

    assert step == GiveUp("nobody is left to ask")
