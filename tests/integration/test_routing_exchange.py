"""What processes share of their deployments, on a plain Valkey and on a cluster."""

import asyncio
import uuid

import pytest

from shared.ledger.prices import Price
from shared.providers.catalog import Deployment, Provider
from shared.providers.failures import UpstreamFailure
from shared.providers.model_rows import ChatModel
from shared.routing.board import HealthBoard
from shared.routing.budget import RetryBudget
from shared.routing.choose import Choice
from shared.routing.exchange import Asked, Exchange, told
from shared.routing.health import Health, Observed, Samples
from shared.routing.outcome import of_failure
from shared.routing.patience import Patience
from shared.valkey.client import Valkey

BUDGET = "retries:{routing}"


class Clock:
    """Stands still unless a test moves it."""

    def __init__(self) -> None:
        self.now = 5000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def deployment() -> Deployment:
    """A deployment that nobody has asked yet."""
    model = ChatModel(kind="chat", name="model", context_window=8192, price=Price(input=1, output=2))
    return Deployment(Provider(name=f"p{uuid.uuid4().hex}", base_url="http://127.0.0.1:1/v1"), model)


@pytest.fixture
def clocks() -> tuple[Clock, Clock]:
    return Clock(), Clock()


@pytest.fixture
async def boards(valkey: Valkey, clocks: tuple[Clock, Clock]) -> tuple[HealthBoard, HealthBoard]:
    """The boards of two processes."""
    await valkey.attempt(lambda client: client.delete(BUDGET))
    return HealthBoard(valkey, clocks[0]), HealthBoard(valkey, clocks[1])


FAILED = Observed(failures=1)
PASSED = Observed(successes=1, probe="passed")
FAILED_PROBE = Observed(failures=1, probe="failed")


async def test_the_script_counts_as_the_code_does(valkey: Valkey, deployment: Deployment) -> None:
    """Every kind of observation, one after another: the state in Valkey is the one computed here."""
    exchange, health, now = Exchange(valkey), Health(), 100.0
    seen = [
        Observed(first_token=Samples(1, 0.5), successes=1),
        Observed(first_token=Samples(3, 0.7, 0.02), per_token=Samples(2, 0.011), successes=3),
        Observed(per_token=Samples(5, 0.02), token_ratio=Samples(4, 1.3)),
        Observed(failures=1, cool_seconds=2.5),
        Observed(successes=1, failures=6),
        Observed(cool_seconds=1e6, failures=2),
        PASSED,
        Observed(failures=3),
    ]
    for one in seen:
        asked = Asked(seen={deployment.deployment_id: one}, requests=0)
        answer = await exchange(asked)
        assert answer is not None
        state = told(asked, answer, now).states[deployment.deployment_id]
        health = health.after(one, now)
        for name in Health.__dataclass_fields__:
            # The server's clock goes on between the calls.
            assert getattr(state, name) == pytest.approx(getattr(health, name), rel=0.02, abs=0.2), (
                one,
                name,
            )
        assert state.state(now) == health.state(now)


async def test_what_one_process_sees_all_know(boards, deployment) -> None:
    one, other = boards
    await one.begin_request([deployment])
    for _ in range(3):
        await one.see_failure(deployment, FAILED)

    await other.begin_request([deployment])

    health = other.standing(deployment.deployment_id).health
    assert health.state(5000.0) == "open"
    assert health.open_until == pytest.approx(5001, abs=0.5)


async def test_a_limit_of_one_process_is_one_for_all(boards, deployment) -> None:
    one, other = boards
    limited = UpstreamFailure("rate_limited", "p", "slow down", retry_after=20)
    await one.see_failure(deployment, of_failure(Choice(deployment, 0, "only"), limited, 0.1, Patience()))

    await other.begin_request([deployment])

    assert other.standing(deployment.deployment_id).health.cool_until == pytest.approx(5020, abs=0.5)


async def test_one_of_many_gets_the_probe(boards, clocks, valkey, deployment) -> None:
    one, other = boards
    for _ in range(3):
        await one.see_failure(deployment, FAILED)
    await other.begin_request([deployment])
    assert not await other.take_probe(deployment), "the pause is not over"
    await _end_pause(valkey, deployment)

    taken = [await board.take_probe(deployment) for board in (one, other, one, other)]
    assert taken == [True, False, False, False]

    one.see(deployment, PASSED)
    await one._trade()
    assert await other.take_probe(deployment), "it is closed: everyone may go"
    assert other.standing(deployment.deployment_id).health.state(5000.0) == "closed"


async def test_a_failed_probe_opens_it_for_longer(boards, valkey, deployment) -> None:
    one, other = boards
    for _ in range(3):
        await one.see_failure(deployment, FAILED)
    await _end_pause(valkey, deployment)
    assert await one.take_probe(deployment)
    await one._trade()

    await one.see_failure(deployment, FAILED_PROBE)

    await other.begin_request([deployment])
    health = other.standing(deployment.deployment_id).health
    assert (health.openings, health.state(5000.0)) == (2, "open")
    assert health.open_until == pytest.approx(5002, abs=0.5)


async def test_a_busy_process_calls_once_a_second(boards, clocks, deployment, valkey) -> None:
    one, _ = boards
    calls = 0
    exchange = one._exchange

    async def counted(asked):
        nonlocal calls
        calls += 1
        return await exchange(asked)

    one._exchange = counted
    for turn in range(2000):
        clocks[0].now = 5000 + turn / 1000
        await one.begin_request([deployment])
        one.see(deployment, Observed(first_token=Samples(1, 0.5), successes=1))

    assert calls == 2
    await one._trade()
    stored = await valkey.attempt(
        lambda client: client.hget(f"health:{{routing}}:{deployment.deployment_id}", "first_tokens")
    )
    assert float(stored) == 2000


async def test_the_retry_budget_is_one_for_all(boards, deployment) -> None:
    one, other = boards
    taken = [await board.take_retry() for board in [one, other] * 15]
    assert 10 <= sum(taken) <= 12, "ten at first, and what grows back meanwhile"

    for _ in range(200):
        await one.begin_request([deployment])
    await one._trade()

    assert sum([await other.take_retry() for _ in range(40)]) in range(20, 23)


async def test_the_budget_in_valkey_is_that_of_the_code(valkey: Valkey, boards) -> None:
    exchange, budget = Exchange(valkey), RetryBudget(at=0.0)
    for requests in (0, 3, 50, 7, 0, 20_000):
        answer = await exchange(Asked(seen={}, requests=requests, retry=True))
        assert answer is not None
        taken = budget.after(requests, 0.0).less_one()
        assert taken is not None
        budget = taken
        stored = await valkey.attempt(lambda client: client.hget(BUDGET, "balance"))
        assert float(stored) == pytest.approx(budget.balance, abs=0.5)


async def test_without_valkey_a_process_goes_by_what_it_knows(deployment) -> None:
    clock = Clock()
    gone = Valkey("redis://127.0.0.1:1", cluster=False, timeout_ms=50)
    board = HealthBoard(gone, clock)
    await board.begin_request([deployment])
    for _ in range(3):
        await board.see_failure(deployment, FAILED)
    assert board.standing(deployment.deployment_id).health.state(clock.now) == "open"
    clock.now += 1.5

    assert [await board.take_probe(deployment) for _ in range(3)] == [True, False, False]
    board.see(deployment, PASSED)
    assert board.standing(deployment.deployment_id).health.state(clock.now) == "closed"
    assert sum([await board.take_retry() for _ in range(15)]) in range(10, 12)
    await gone.close()


async def test_everything_known_goes_when_it_is_old(valkey, boards, deployment) -> None:
    one, _ = boards
    await one.see_failure(deployment, FAILED)

    for key in (BUDGET, f"health:{{routing}}:{deployment.deployment_id}"):
        ttl = await valkey.attempt(lambda client, key=key: client.ttl(key))
        assert 0 < ttl <= 86_400


async def test_requests_that_come_meanwhile_do_not_wait(boards, clocks, deployment) -> None:
    one, _ = boards
    await one.begin_request([deployment])
    clocks[0].now += 2
    exchange, hold = one._exchange, asyncio.Event()

    async def slow(asked):
        await hold.wait()
        return await exchange(asked)

    one._exchange = slow
    first = asyncio.ensure_future(one.begin_request([deployment]))
    await asyncio.sleep(0)
    await asyncio.wait_for(one.begin_request([deployment]), timeout=1)
    assert not first.done()
    hold.set()
    await first


async def _end_pause(valkey: Valkey, deployment: Deployment) -> None:
    key = f"health:{{routing}}:{deployment.deployment_id}"
    await valkey.attempt(lambda client: client.hset(key, "open_until", "1"))
