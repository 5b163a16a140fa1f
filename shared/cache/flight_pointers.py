"""The ids of answers that lead to a flight, on their way to Valkey."""

import asyncio

from shared.cache.flight_key import Flight
from shared.cache.flight_store import FlightStore


class FlightPointers:
    """Written at once; what does not get through waits for the next `write`."""

    def __init__(self, store: FlightStore, flight: Flight) -> None:
        self._store = store
        self._flight = flight
        self._unwritten: list[tuple[str, str]] = []
        self._writing: asyncio.Task[None] | None = None
        self.answer_ids: set[str] = set()

    @property
    def waiting(self) -> bool:
        """Whether some are not written."""
        return bool(self._unwritten)

    def add(self, answer_id: str, key_id: str) -> None:
        """Let an answer's id, asked for by a key, lead to the flight."""
        self.answer_ids.add(answer_id)
        self._unwritten.append((answer_id, key_id))
        self._writing = asyncio.create_task(self.write())

    async def write(self) -> None:
        """Try what is unwritten."""
        pointers, self._unwritten = self._unwritten, []
        for pointer in pointers:
            if not await self._store.point(self._flight, *pointer):
                self._unwritten.append(pointer)

    async def settled(self) -> None:
        """Wait for the write that the last `add` began; whoever stops waiting does not stop it."""
        if self._writing is not None:
            await asyncio.shield(self._writing)
