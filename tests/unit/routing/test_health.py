"""The arithmetic of health and of the retry budget."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.providers.failures import UpstreamFailure
from shared.routing.budget import RetryBudget
from shared.routing.choose import Choice
from shared.routing.health import Health, Observed, Samples
from shared.routing.outcome import of_failure, of_success
from shared.routing.patience import Patience
from tests.unit.routing.deployments import NOW, deployment

FAILED = Observed(failures=1)
SUCCEEDED = Observed(successes=1)


def over(health: Health, *seen: Observed, now: float = NOW) -> Health:
    for one in seen:
        health = health.after(one, now)
    return health


def test_three_failures_of_no_more_than_six_open_the_breaker() -> None:
    assert over(Health(), FAILED, FAILED).state(NOW) == "closed"
    assert over(Health(), FAILED, FAILED, FAILED).state(NOW) == "open"
    assert over(Health(), *[SUCCEEDED] * 3, FAILED, FAILED, FAILED).state(NOW) == "open"
    assert over(Health(), *[SUCCEEDED] * 4, FAILED, FAILED, FAILED).state(NOW) == "closed"


def test_old_failures_are_forgotten() -> None:
    health = over(Health(), FAILED, FAILED)

    assert over(health, FAILED, now=NOW + 60).state(NOW + 60) == "closed"


def test_each_failed_probe_doubles_the_pause_up_to_a_minute() -> None:
    health, now, pauses = over(Health(), FAILED, FAILED, FAILED), NOW, []
    for _ in range(8):
        pauses.append(health.open_until - now)
        now = health.open_until
        assert health.state(now) == "half-open"
        health = health.after(Observed(failures=1, probe="failed"), now)

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_straggler_neither_lengthens_the_pause_nor_closes_the_breaker() -> None:
    health = over(Health(), FAILED, FAILED, FAILED)

    assert over(health, FAILED, SUCCEEDED).open_until == health.open_until
    assert over(health, FAILED, now=NOW + 5).open_until == health.open_until


def test_a_probe_that_passes_closes_the_breaker() -> None:
    health = over(Health(), FAILED, FAILED, FAILED).after(Observed(successes=1, probe="passed"), NOW + 2)

    assert health.state(NOW + 2) == "closed"
    assert (health.openings, health.failures) == (0, 0)


def test_latencies_follow_what_is_seen() -> None:
    health = Health()
    for _ in range(100):
        health = health.after(of_success_at(0.5), NOW)
    assert health.first_token == pytest.approx(0.5)
    assert health.first_token_p95 == pytest.approx(0.5)

    for _ in range(100):
        health = health.after(of_success_at(2.0), NOW)
    assert health.first_token == pytest.approx(2.0, rel=0.01)


def of_success_at(seconds: float) -> Observed:
    return of_success(Choice(deployment("a"), 0, "only"), seconds)


def test_the_p95_is_near_the_real_one() -> None:
    random, health = Random(1), Health()
    for _ in range(400):
        health = health.after(of_success_at(random.uniform(0.5, 1.5)), NOW)

    assert health.first_token_p95 == pytest.approx(1.45, abs=0.2)


def test_there_is_no_p95_of_a_few() -> None:
    health = over(Health(), *[of_success_at(1.0)] * 19)

    assert health.first_token_p95 is None


def test_what_is_old_says_nothing() -> None:
    health = over(Health(), of_success_at(1.0))

    assert health.expected_seconds(100, NOW + 59) == pytest.approx(1.0)
    assert health.expected_seconds(100, NOW + 61) is None


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30), st.integers(0, 30))
def test_samples_put_together_are_those_of_all(numbers, cut) -> None:
    one, other = Samples(), Samples()
    for number in numbers[:cut]:
        one.add(Samples(1, number))
    for number in numbers[cut:]:
        other.add(Samples(1, number))
    one.add(other)

    mean = sum(numbers) / len(numbers)
    assert one.count == len(numbers)
    assert one.mean == pytest.approx(mean, abs=1e-6)
    assert one.squares == pytest.approx(sum((n - mean) ** 2 for n in numbers), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("probe", [False, True])
def test_a_refused_request_is_no_failure_of_its_deployment(probe) -> None:
    choice = Choice(deployment("a"), 0, "only", probe=probe)
    seen = of_failure(choice, UpstreamFailure("refused", "a", "no"), 1.0, Patience())

    assert seen == (Observed(probe="passed") if probe else None)


def test_who_had_no_time_is_not_blamed() -> None:
    choice = Choice(deployment("a"), 0, "only")
    late = UpstreamFailure("timeout", "a", "late")

    assert of_failure(choice, late, 5.0, Patience(first_token_seconds=60)) is None
    assert of_failure(choice, late, 60.0, Patience(first_token_seconds=60)).failures == 1


def test_an_absurd_retry_after_is_cut() -> None:
    choice = Choice(deployment("a"), 0, "only")
    limited = UpstreamFailure("rate_limited", "a", "slow down", retry_after=86_400)
    health = Health().after(of_failure(choice, limited, 0.1, Patience()), NOW)

    assert health.cool_until == NOW + 300
    assert replace(health, cool_until=0.0) == Health()


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 5)), max_size=40))
def test_retries_never_exceed_a_tenth_and_what_a_quiet_system_may(turns) -> None:
    budget, now, requests, retries = RetryBudget(at=0.0), 0.0, 0, 0
    for begun, seconds in turns:
        now, requests = now + seconds, requests + begun
        budget = budget.after(begun, now)
        while (left := budget.less_one()) is not None:
            budget, retries = left, retries + 1

    assert retries <= 10 + 0.1 * requests + now + 1e-6


def test_a_busy_system_saves_up_for_an_outage() -> None:
    assert RetryBudget().after(100_000, 1.0).balance == 1000
