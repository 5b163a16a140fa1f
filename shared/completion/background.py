"""Work that goes on after its caller has left: kept from being collected, and ended with the process."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")

# Longest that the end of the process waits for what is done afterwards.
_LAST_SECONDS = 5.0


class Background:
    """The tasks of one process.

    `freezes`: it stands still whenever it has answered, as in Lambda.
    """

    def __init__(self, *, freezes: bool = False) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self._last: set[asyncio.Task[object]] = set()
        self._freezes = freezes

    def start(self, work: Coroutine[None, None, T]) -> asyncio.Task[T]:
        """Run `work` whoever waits for it."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def afterwards(self, work: Coroutine[None, None, object]) -> None:
        """Have work done that no caller waits for; where the process freezes, this returns once it is done.

        What fails in it fails alone.
        """
        task = asyncio.ensure_future(work)
        self._last.add(task)
        task.add_done_callback(self._last.discard)
        if self._freezes:
            await asyncio.wait([task])

    async def close(self) -> None:
        """End what still runs, each task settling on its way out, and wait for what is done afterwards."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._last:
            await asyncio.wait(self._last, timeout=_LAST_SECONDS)
