"""Which deployment is asked."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.routing.choose import choose
from shared.routing.health import Health
from shared.routing.route import Route
from tests.unit.routing.deployments import NOW, World, deployment, known

A, B, C = deployment("a"), deployment("b"), deployment("c")


def shares(route: Route, world: World, draws: int = 4000) -> dict[str, float]:
    random = Random(7)
    view = world.view(random=random)
    chosen = Counter(choose(route, view).deployment.provider.name for _ in range(draws))
    return {name: count / draws for name, count in chosen.items()}


def test_of_one_that_is_well_it_is_the_only_one() -> None:
    choice = choose(Route.of([A]), World().view())

    assert (choice.deployment, choice.why, choice.probe) == (A, "only", False)


def test_unknown_deployments_share_by_weight() -> None:
    route = Route.of([deployment("a", weight=3), deployment("b", weight=1)])

    assert shares(route, World())["a"] == pytest.approx(0.75, abs=0.03)


def test_equally_fast_deployments_share_by_weight() -> None:
    route = Route.of([deployment("a", weight=3), deployment("b", weight=1)])
    world = World({"a": known(0.5), "b": known(0.45)})

    assert shares(route, world)["a"] == pytest.approx(0.75, abs=0.03)


def test_of_two_the_clearly_faster_is_asked() -> None:
    world = World({"a": known(2.0), "b": known(0.5)})

    assert shares(Route.of([A, B]), world) == {"b": 1.0}
    assert choose(Route.of([A, B]), world.view()).rival in (A, None)


def test_the_pace_counts_as_much_as_the_first_token() -> None:
    world = World({"a": known(0.2, per_token=0.1), "b": known(1.0, per_token=0.01)})

    assert choose(Route.of([A, B]), world.view(tokens=300)).deployment is B
    assert choose(Route.of([A, B]), world.view(tokens=1)).deployment is A


def test_calls_under_way_make_a_deployment_slower() -> None:
    world = World({"a": known(0.5), "b": known(0.6)}, in_flight={"a": 8, "b": 0})

    assert shares(Route.of([A, B]), world) == {"b": 1.0}


def test_a_slow_deployment_is_tried_again_when_what_is_known_is_old() -> None:
    old = Health(first_token=5.0, per_token=0.1, measured_at=NOW - 100, first_tokens=100)
    world = World({"a": old, "b": known(0.5)})
    assert shares(Route.of([A, B]), world)["a"] == pytest.approx(0.5, abs=0.03)

    world.in_flight["a"] = 1
    assert shares(Route.of([A, B]), world) == {"b": 1.0}


def test_priority_goes_before_speed() -> None:
    second = deployment("b", priority=1)
    world = World({"a": known(9.0), "b": known(0.1)})

    assert choose(Route.of([second, A]), world.view()).deployment is A


@pytest.mark.parametrize(
    "bad", [known(open_until=NOW + 5, openings=1), known(cool_until=NOW + 5)], ids=["open", "cooling"]
)
def test_who_is_not_usable_is_passed_over(bad) -> None:
    assert choose(Route.of([A, B]), World({"a": bad}).view()).deployment is B
    assert choose(Route(((A,), (B,))), World({"a": bad}).view()).tier == 1


def test_a_half_open_one_gets_one_probe() -> None:
    half_open = known(open_until=NOW - 1, openings=1)
    probe = choose(Route.of([A, B]), World({"a": half_open}).view())
    assert (probe.deployment, probe.why, probe.probe) == (A, "probe", True)

    probed = known(open_until=NOW - 1, openings=1, probe_until=NOW + 5)
    assert choose(Route.of([A, B]), World({"a": probed}).view()).deployment is B


def test_no_probe_of_who_is_not_needed() -> None:
    spare = deployment("b", priority=1)
    world = World({"b": known(open_until=NOW - 1, openings=1)})

    assert choose(Route.of([A, spare]), world.view()).deployment is A


def test_when_none_is_usable_the_soonest_is_asked() -> None:
    world = World(
        {"a": known(open_until=NOW + 9), "b": known(cool_until=NOW + 3), "c": known(open_until=NOW + 5)}
    )

    choice = choose(Route(((A,), (B,), (C,))), world.view())

    assert (choice.deployment, choice.tier, choice.why) == (B, 1, "soonest")


def test_who_was_tried_is_not_asked() -> None:
    assert choose(Route.of([A, B]), World().view(), frozenset(["a/model"])).deployment is B
    assert choose(Route.of([A]), World().view(), frozenset(["a/model"])) is None


moments = st.sampled_from([0.0, NOW - 5, NOW + 5, NOW + 50])
healths = st.builds(
    Health,
    first_token=st.floats(0, 10),
    per_token=st.floats(0, 1),
    measured_at=moments,
    open_until=moments,
    cool_until=moments,
    probe_until=moments,
)


@given(st.lists(healths, min_size=1, max_size=6), st.integers(0, 5), st.integers(1, 3))
def test_someone_is_always_asked_and_never_the_broken_before_the_well(found, seed, cut) -> None:
    names = [f"p{number}" for number in range(len(found))]
    deployments = [deployment(name, priority=number % 2) for number, name in enumerate(names)]
    tiers = tuple(t for t in (tuple(deployments[:cut]), tuple(deployments[cut:])) if t)
    world = World(dict(zip(names, found, strict=True)), seed=seed)
    view = world.view()

    choice = choose(Route(tiers), view)

    assert choice is not None
    usable = [d for d in deployments if view.obstacle(d) is None]
    assert not usable or choice.deployment in usable
    assert choice.probe == (view.of(choice.deployment).health.open_until > 0)
