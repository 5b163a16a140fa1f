"""One clock per host for all workers, in Valkey; and without Valkey, one for each."""

import asyncio
import time
import uuid
from collections.abc import Awaitable

import pytest

from shared.valkey.client import Valkey
from shared.web.politeness import GIVEN_UP_AFTER, GivenUp, Later, Pace, Politeness, Turn

EAGER = Pace(delay=0.0, at_once=100)


@pytest.fixture
def host() -> str:
    return f"{uuid.uuid4().hex}.test"


def workers(valkey: Valkey, count: int, *, lease: float = 30.0, patience: float = 10.0) -> list[Politeness]:
    return [Politeness(valkey, lease=lease, patience=patience) for _ in range(count)]


async def taken(turn: Awaitable[Turn | Later | GivenUp]) -> Turn:
    got = await turn
    assert isinstance(got, Turn)
    return got


async def test_turns_are_apart_whoever_takes_them(valkey: Valkey, host: str) -> None:
    times: list[float] = []

    async def work(politeness: Politeness) -> None:
        for _ in range(2):
            turn = await taken(politeness.take(host, Pace(delay=0.05, at_once=100)))
            times.append(time.monotonic())
            await politeness.end(turn, answered="yes")

    began = time.monotonic()
    await asyncio.gather(*map(work, workers(valkey, 4)))
    assert max(times) - began >= 7 * 0.05
    assert len(times) == 8


async def test_no_more_are_at_a_host_than_it_takes(valkey: Valkey, host: str) -> None:
    there, most = 0, 0

    async def work(politeness: Politeness) -> None:
        nonlocal there, most
        for _ in range(3):
            turn = await taken(politeness.take(host, Pace(delay=0.0, at_once=2)))
            there += 1
            most = max(most, there)
            await asyncio.sleep(0.01)
            there -= 1
            await politeness.end(turn, answered="yes")

    await asyncio.gather(*map(work, workers(valkey, 5)))
    assert most == 2


async def test_a_delay_that_a_host_asks_for_counts_from_the_end(valkey: Valkey, host: str) -> None:
    first, second = workers(valkey, 2)
    strict = Pace(delay=0.2, at_once=1, strict=True)
    turn = await taken(first.take(host, strict))
    waiting = asyncio.create_task(taken(second.take(host, strict)))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await first.end(turn, answered="yes")
    ended = time.monotonic()
    await waiting
    assert time.monotonic() - ended >= 0.19


async def test_who_dies_gives_its_turn_back(valkey: Valkey, host: str) -> None:
    dies, lives = workers(valkey, 2, lease=0.2)
    pace = Pace(delay=0.0, at_once=1)
    await taken(dies.take(host, pace))
    await taken(lives.take(host, pace))


async def test_who_would_wait_long_joins_the_line(valkey: Valkey, host: str) -> None:
    (politeness,) = workers(valkey, 1, patience=0.1)
    pace = Pace(delay=10.0, at_once=1)
    await politeness.end(await taken(politeness.take(host, pace)), answered="yes")
    places = [await politeness.take(host, pace) for _ in range(3)]
    assert [round(place.seconds, -1) for place in places if isinstance(place, Later)] == [10, 20, 30]


async def test_a_host_that_does_not_answer_rests_longer_each_time(valkey: Valkey, host: str) -> None:
    (politeness,) = workers(valkey, 1, patience=0.0)
    turn = await taken(politeness.take(host, EAGER))
    await politeness.end(turn, answered="no")
    place = await politeness.take(host, EAGER)
    assert isinstance(place, Later)
    assert 4 < place.seconds <= 5
    await politeness.end(turn, answered="no")
    await politeness.end(turn, answered="no")
    place = await politeness.take(host, EAGER)
    assert isinstance(place, Later)
    assert 19 < place.seconds <= 20


async def test_retry_after_is_for_the_whole_host(valkey: Valkey, host: str) -> None:
    first, second = workers(valkey, 2, patience=0.0)
    await first.end(await taken(first.take(host, EAGER)), answered="no", rest=300)
    place = await second.take(host, EAGER)
    assert isinstance(place, Later)
    assert 299 < place.seconds <= 300


async def test_a_host_that_never_answers_is_given_up(valkey: Valkey, host: str) -> None:
    (politeness,) = workers(valkey, 1, patience=0.0)
    turn = Turn(host=host, pace=EAGER)
    for _ in range(GIVEN_UP_AFTER):
        assert not isinstance(await politeness.take(host, EAGER), GivenUp)
        await politeness.end(turn, answered="no")
    assert await politeness.take(host, EAGER) == GivenUp()
    await politeness.end(turn, answered="yes")
    assert not isinstance(await politeness.take(host, EAGER), GivenUp)


async def test_without_valkey_each_worker_keeps_its_own_time(host: str) -> None:
    gone = Valkey("redis://127.0.0.1:1", cluster=False, timeout_ms=50)
    (politeness,) = workers(gone, 1, patience=0.0)
    pace = Pace(delay=10.0, at_once=4)
    turn = await taken(politeness.take(host, pace))
    await politeness.end(turn, answered="yes", rest=20.0)
    place = await politeness.take(host, pace)
    assert isinstance(place, Later)
    assert 19 < place.seconds <= 20
    await gone.close()
