"""Group commit: what several tasks ask of the database at nearly the same moment, in one transaction.

Tasks that work side by side, such as those of the pages of one batch, come to the same steps. What comes to a
step waits there until every task of the crew waits at one, a moment at most, and is then done together.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from psycopg.errors import DeadlockDetected

from shared.errors import UnavailableError

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
R = TypeVar("R")

# Seconds that a step waits for the rest of the crew: short beside a page, long beside a transaction.
_PATIENCE = 0.2


class Crew:
    """Tasks that wait for each other, and how many there are."""

    def __init__(self, *, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._steps: list[Step[Any, Any, Any]] = []
        self._members = 0
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def member(self) -> Iterator[None]:
        """Count the task in."""
        self._members += 1
        try:
            yield
        finally:
            self._members -= 1
            self._look_soon()

    def step(self, work: Callable[[K, Sequence[T]], Awaitable[Sequence[R]]]) -> "Step[K, T, R]":
        """A step of the crew.

        Args:
            work: Does what several tasks came for under one key; answers in their order. If it fails for
                several, each is done alone, so that what is wrong with one is not held against the others.
        """
        step = Step(self, work)
        self._steps.append(step)
        return step

    def arrived(self) -> None:
        """Somebody has come to a step."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._patience, self._go)
        self._look_soon()

    def _look_soon(self) -> None:
        # After whoever comes in the same turn of the event loop.
        if self._timer is not None:
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        if sum(step.waiting for step in self._steps) >= self._members:
            self._go()

    def _go(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for step in self._steps:
            step.go()


@dataclass(frozen=True)
class _Arrival(Generic[T, R]):
    item: T
    done: asyncio.Future[R]


@dataclass(eq=False)
class Step(Generic[K, T, R]):
    """One thing that the tasks of a crew do together (`Crew.step`)."""

    _crew: Crew
    _work: Callable[[K, Sequence[T]], Awaitable[Sequence[R]]]
    _arrivals: defaultdict[K, list[_Arrival[T, R]]] = field(default_factory=lambda: defaultdict(list))
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def waiting(self) -> int:
        """How many wait here."""
        return sum(len(arrivals) for arrivals in self._arrivals.values())

    async def __call__(self, key: K, item: T) -> R:
        """Have `item` done with what else comes under `key`; raises what its work raises."""
        arrival: _Arrival[T, R] = _Arrival(item, asyncio.get_running_loop().create_future())
        self._arrivals[key].append(arrival)
        self._crew.arrived()
        return await arrival.done

    def go(self) -> None:
        """Begin to do what waits."""
        gathered, self._arrivals = self._arrivals, defaultdict(list)
        for key, arrivals in gathered.items():
            task = asyncio.get_running_loop().create_task(self._do(key, arrivals))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _do(self, key: K, arrivals: Sequence[_Arrival[T, R]]) -> None:
        wanted = [arrival for arrival in arrivals if not arrival.done.done()]
        if not wanted:
            return
        try:
            results = await self._work(key, [arrival.item for arrival in wanted])
            answered = list(zip(wanted, results, strict=True))
        except asyncio.CancelledError:
            for arrival in wanted:
                arrival.done.cancel()
            raise
        except Exception as error:
            await self._failed(key, wanted, error)
            return
        for arrival, result in answered:
            if not arrival.done.done():
                arrival.done.set_result(result)

    async def _failed(self, key: K, arrivals: Sequence[_Arrival[T, R]], error: Exception) -> None:
        if len(arrivals) > 1 and not _concerns_all(error):
            for arrival in arrivals:
                await self._do(key, [arrival])
            return
        for arrival in arrivals:
            if not arrival.done.done():
                arrival.done.set_exception(error)


def _concerns_all(error: Exception) -> bool:
    """Whether each alone would fail of it too. A deadlock is between the group and somebody else."""
    return isinstance(error, UnavailableError) and not isinstance(error.__cause__, DeadlockDetected)
