"""Worker processes of one function on its queue, which are killed at random and replaced."""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace

from local.process import Child, Launcher, Program


class Crew:
    """So many workers, of which one is killed now and then. `killed`: how many were."""

    def __init__(self, launcher: Launcher, program: Program, *, size: int, seed: int) -> None:
        self._launcher = launcher
        self._program = program
        self._size = size
        self._random = random.Random(seed)
        self._workers: dict[int, Child] = {}
        self.killed = 0

    async def start(self) -> None:
        """Start all."""
        for place in range(self._size):
            await self._start(place)

    async def _start(self, place: int) -> None:
        program = replace(self._program, name=f"{self._program.name}-{place}")
        self._workers[place] = await self._launcher.start(program)

    async def check(self) -> None:
        """Fail if one has ended by itself."""
        for worker in [*self._workers.values()]:
            assert not worker.end.done(), await worker.ended()

    async def kill_now_and_then(self, more: Callable[[int], Awaitable[None]], apart: tuple[int, int]) -> None:
        """Kill one by SIGKILL and start another, for ever.

        Args:
            more: Waits until so much more is done: on a slow machine too, each worker gets something done.
            apart: The least and the most that is done between two deaths.
        """
        while True:
            await more(self._random.randint(*apart))
            place = self._random.randrange(self._size)
            await self.check()
            worker = self._workers.pop(place)
            os.kill(worker.pid, signal.SIGKILL)
            await worker.ended()
            self.killed += 1
            await self._start(place)

    async def stop(self) -> None:
        """Ask all for a clean end."""
        await asyncio.gather(*(worker.stop(grace=10) for worker in self._workers.values()))
