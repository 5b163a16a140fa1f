"""A follower's side of a flight: reads the log live, from any item on, each item once."""

import asyncio
import time
from collections.abc import AsyncGenerator

from shared.cache.flight_key import Flight
from shared.cache.flight_models import LogEntry, Standing
from shared.cache.flight_store import READER_SECONDS, FlightStore
from shared.cache.log_item import LogBatch, decode_items

# One blocking read; well under the client's socket time-out. Between reads the lease is looked at.
_WAIT_MS = 400

# Who has part of an answer waits this long for Valkey to come back: a little over the pause after a failure.
_PATIENCE_SECONDS = 3.0
_AGAIN_SECONDS = 0.1

_LAST_PART = 2**64 - 1


class LeaderLost(Exception):  # noqa: N818 - named as what happened
    """The log has no end and nobody leads: take over, or end."""


class LogGone(Exception):  # noqa: N818
    """Valkey cannot be reached, or the log has expired."""


async def follow(
    store: FlightStore, flight: Flight, after: int, reader_id: str
) -> AsyncGenerator[LogBatch, None]:
    """Batches of items with an index over `after`, ending with the end item.

    Raises:
        LeaderLost: Nobody leads and there is no end.
        LogGone: Valkey is gone or the log has expired.
    """
    tail = _Tail(store, flight, after, reader_id)
    try:
        while True:
            entries = await tail.next()
            for items in filter(None, (_later(entry, after) for entry in entries)):
                yield items
                if items[-1].kind == "end":
                    return
            if tail.ended and not entries:
                return
    finally:
        await asyncio.shield(store.leave(flight, reader_id))


class _Tail:
    """Reads by script when it must know how the flight stands, else blocks until something comes."""

    def __init__(self, store: FlightStore, flight: Flight, after: int, reader_id: str) -> None:
        self._store = store
        self._flight = flight
        self._reader_id = reader_id
        # Entries are named by the last index in them, so the first that matters is the first after this.
        self._cursor = f"{after}-{_LAST_PART}" if after > 0 else "0-0"
        self._blocking = False
        self._registered_until = 0.0
        self._began = False
        self._reached = time.monotonic()
        self._wait_ms = min(_WAIT_MS, max(1, round(store.options.lease_seconds * 500)))
        self.ended = False

    async def next(self) -> list[LogEntry]:
        """Entries after the last; empty after a while without any."""
        entries = await (self._wait() if self._may_block else self._look())
        while entries is None:
            if not self._began or time.monotonic() - self._reached > _PATIENCE_SECONDS:
                raise LogGone
            await asyncio.sleep(_AGAIN_SECONDS)
            entries = await self._look()
        self._reached = time.monotonic()
        if entries:
            self._began = True
            self._cursor = entries[-1][0]
        # An empty batch is how a leader that leaves wakes its followers.
        self._blocking = bool(entries[-1][1]) if entries else not self._blocking
        return entries

    @property
    def _may_block(self) -> bool:
        return self._blocking and time.monotonic() < self._registered_until

    async def _wait(self) -> list[LogEntry] | None:
        return await self._store.wait(self._flight, self._cursor, self._wait_ms)

    async def _look(self) -> list[LogEntry] | None:
        reading = await self._store.read(self._flight, self._cursor, self._reader_id)
        self._blocking = False
        if reading is None:
            return None
        self._registered_until = time.monotonic() + READER_SECONDS / 3
        if not reading.entries:
            self._judge(reading.standing)
        return reading.entries

    def _judge(self, standing: Standing) -> None:
        if standing == "gone":
            raise LogGone
        if standing == "lost":
            raise LeaderLost
        self.ended = standing == "ended"


def _later(entry: LogEntry, after: int) -> LogBatch:
    try:
        items = decode_items(entry[1])
    except ValueError as error:
        # Written by a version that knows more kinds of items.
        raise LogGone from error
    return tuple(item for item in items if item.index > after or item.kind in ("head", "cancel"))
