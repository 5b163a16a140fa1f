"""Tasks that ask together: when a step goes, what it takes with it, and whose fault a failure is."""

import asyncio
from collections.abc import Sequence

import pytest
from psycopg.errors import DeadlockDetected

from shared.errors import UnavailableError
from shared.postgres.group_commit import Crew

NEVER = 3600.0


class Work:
    """Doubles numbers, and notes what came together. A negative one is bad."""

    def __init__(self, error: Exception | None = None) -> None:
        self.groups: list[tuple[str, list[int]]] = []
        self._error = error or ValueError("bad")

    async def __call__(self, key: str, items: Sequence[int]) -> list[int]:
        self.groups.append((key, list(items)))
        await asyncio.sleep(0)
        if any(item < 0 for item in items):
            raise self._error
        return [2 * item for item in items]


async def test_a_step_goes_when_everybody_waits() -> None:
    crew, work = Crew(patience=NEVER), Work()
    step = crew.step(work)

    async def task(number: int) -> int:
        with crew.member():
            first = await step("a", number)
            return await step("b", first)

    assert await asyncio.gather(*(task(number) for number in range(4))) == [0, 4, 8, 12]
    assert work.groups == [("a", [0, 1, 2, 3]), ("b", [0, 2, 4, 6])]


async def test_keys_are_kept_apart() -> None:
    crew, work = Crew(patience=NEVER), Work()
    step = crew.step(work)

    async def task(key: str, number: int) -> int:
        with crew.member():
            return await step(key, number)

    assert list(await asyncio.gather(task("a", 1), task("b", 2), task("a", 3))) == [2, 4, 6]
    assert sorted(work.groups) == [("a", [1, 3]), ("b", [2])]


async def test_who_leaves_is_not_waited_for() -> None:
    crew, work = Crew(patience=NEVER), Work()
    step = crew.step(work)
    leaves = asyncio.Event()

    async def waits() -> int:
        with crew.member():
            return await step("a", 1)

    async def goes() -> None:
        with crew.member():
            await leaves.wait()

    waiting, going = asyncio.create_task(waits()), asyncio.create_task(goes())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert work.groups == []
    leaves.set()
    assert await waiting == 2
    await going


async def test_nobody_is_waited_for_long() -> None:
    crew, work = Crew(patience=0.01), Work()
    step = crew.step(work)
    with crew.member(), crew.member():
        assert await step("a", 1) == 2


async def test_a_failure_is_of_whom_it_concerns() -> None:
    crew, work = Crew(patience=NEVER), Work()
    step = crew.step(work)

    async def task(number: int) -> int:
        with crew.member():
            return await step("a", number)

    results = await asyncio.gather(*(task(number) for number in (1, -1, 3)), return_exceptions=True)
    assert (results[0], results[2]) == (2, 6)
    assert isinstance(results[1], ValueError)
    assert work.groups[0] == ("a", [1, -1, 3])


async def test_what_is_not_there_is_not_asked_again() -> None:
    crew, work = Crew(patience=NEVER), Work(UnavailableError("The database cannot be reached."))
    step = crew.step(work)

    async def task(number: int) -> int:
        with crew.member():
            return await step("a", number)

    results = await asyncio.gather(*(task(number) for number in (1, -1)), return_exceptions=True)
    assert [type(result) for result in results] == [UnavailableError, UnavailableError]
    assert len(work.groups) == 1


async def test_who_is_cancelled_leaves_the_rest_alone() -> None:
    crew, work = Crew(patience=NEVER), Work()
    step = crew.step(work)
    leaves = asyncio.Event()

    async def task(number: int) -> int:
        with crew.member():
            return await step("a", number)

    async def holds() -> None:
        with crew.member():
            await leaves.wait()

    holding = asyncio.create_task(holds())
    cancelled, other = asyncio.create_task(task(1)), asyncio.create_task(task(2))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    leaves.set()
    assert await other == 4
    await holding
    assert work.groups == [("a", [2])]


async def test_a_deadlock_of_the_group_is_none_of_each() -> None:
    error = UnavailableError("The database cannot be reached.")
    error.__cause__ = DeadlockDetected()
    crew, work = Crew(patience=NEVER), Work(error)
    step = crew.step(work)

    async def task(number: int) -> int:
        with crew.member():
            return await step("a", number)

    results = await asyncio.gather(*(task(number) for number in (1, -1)), return_exceptions=True)
    assert results == [2, error]
