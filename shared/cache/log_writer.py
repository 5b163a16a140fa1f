"""A leader's side of a flight: writes the log behind the answer, keeps the lease, sees who wants no more."""

import asyncio
import time
import weakref
from collections.abc import Iterable
from dataclasses import dataclass

from shared.cache.entry import Entry
from shared.cache.flight_key import Flight, FlightKey
from shared.cache.flight_models import Batch, Ending, Sign, Taken
from shared.cache.flight_pointers import FlightPointers
from shared.cache.flight_store import FlightStore
from shared.cache.log_item import HEADER_BYTES, LogItem, encode_items, end_item

# How long items wait for company, and how many bytes go at once.
_GATHER_SECONDS = 0.025
_GATHER_BYTES = 8 * 2**10

OVERFLOW = "overflow"


@dataclass(frozen=True)
class WriterState:
    """As of the last append or renewal, at most about a second old.

    `cancelled`: an answer that this writer published is not wanted any more. `readers`: how many follow.
    """

    cancelled: bool = False
    readers: int = 0


class LogWriter:
    """Whoever holds one leads, and must end it with `finish` or `abandon`.

    Nothing here raises for Valkey's sake. Batches that do not get through are sent again until the lease is
    out; then, or when another has taken over, the writer is `lost`: it writes no more, the answer goes on.
    """

    def __init__(self, store: FlightStore, flight: Flight, token: str, taken: Taken | None = None) -> None:
        self._store = store
        self._flight = flight
        self._token = token
        self.state = WriterState()
        self.lost = False
        # Index of the last item added: who takes a log over goes on with the next.
        self.last_index = taken.last_index if taken else 0
        self._total = taken.total_bytes if taken else 0
        self._number = 0
        self._items: list[LogItem] = []
        self._bytes = 0
        self._batch: Batch | None = None
        self._body = b""
        self._pointers = FlightPointers(store, flight)
        self._cancelled = asyncio.Event()
        self._closed = False
        self._ended = False
        self._flushing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard = time.monotonic()
        self._renewal = _renew_later(self)

    @property
    def key(self) -> FlightKey:
        """The question."""
        return self._flight.key

    @property
    def flight_id(self) -> str:
        """This attempt at it."""
        return self._flight.flight_id

    def publish(self, answer_id: str, key_id: str) -> None:
        """Let an answer's id lead here, and its cancel concern `state`; written at once."""
        self._pointers.add(answer_id, key_id)

    def keep_body(self, body: bytes) -> None:
        """Keep the composed request for who takes over; one over `body_bytes` is not kept."""
        if len(body) <= self._store.options.body_bytes:
            self._body = body

    def add(self, items: Iterable[LogItem]) -> None:
        """Log items, in the order of their indices; they wait a moment for company.

        The one that makes the log larger than `log_bytes` ends it instead, with outcome "overflow".
        """
        if self._closed or self.lost:
            return
        for item in items:
            self._items.append(item)
            self._bytes += HEADER_BYTES + len(item.data)
            self.last_index = max(self.last_index, item.index)
        if self._total + self._bytes > self._store.options.log_bytes:
            self._overflow()
        elif self._bytes >= _GATHER_BYTES:
            self._flush_soon()
        else:
            self._gather()

    async def committed(self) -> bool:
        """Wait until all that was added is in the log; `False` at once if it cannot be now."""
        await self._pointers.settled()
        while self._has_unwritten and not self.lost:
            before = self._heard
            await asyncio.shield(self._flush())
            if self._has_unwritten and self._heard == before:
                return False
        return not self.lost

    async def seal(self) -> bool:
        """Let nobody join any more, before an answer is given up; `False`: somebody does read it."""
        return await self._store.seal(self._flight, self._token) is not False

    async def until_cancelled(self) -> None:
        """Returns when `state.cancelled` becomes true."""
        await self._cancelled.wait()

    async def finish(
        self,
        outcome: str,
        error: str | None = None,
        *,
        entry: Entry | None = None,
        ttl_seconds: int = 3600,
        keep: bool = True,
    ) -> bool:
        """End the flight: the remaining items, the end, the entry and the locks in one step.

        Args:
            outcome: How it ended; followers read it.
            error: What they should be told.
            entry: The answer to store for `ttl_seconds`; stored whatever became of the log.
            keep: Whether the log stays readable for `log_seconds` even if nobody reads it now.

        Returns:
            Whether the log has its end.
        """
        await self._come_to_rest()
        if self._batch is not None:
            # What did not get through before: the log may have no gap.
            await self._append()
        whole = self._batch is None and not self.lost
        end = end_item(self.last_index + 1, outcome, error)
        ending = Ending(
            last_index=end.index if whole else self.last_index,
            batch=encode_items([*self._items, end]) if whole else b"",
            keep=keep,
            entry=entry.encode() if entry else b"",
            ttl_seconds=ttl_seconds,
        )
        ended = await self._store.finish(self._flight, self._token, ending)
        await self._pointers.write()
        self._ended = True
        self.lost = self.lost or not ended
        return bool(ended)

    async def abandon(self) -> None:
        """Give the lead up without an end, so that a follower may take over; nothing after `finish`."""
        if self._ended:
            return
        await self._come_to_rest()
        ending = Ending(last_index=self.last_index, batch=b"", keep=True, entry=b"", ttl_seconds=1)
        self._ended = self.lost = True
        await self._store.finish(self._flight, self._token, ending)

    @property
    def _has_unwritten(self) -> bool:
        return bool(self._items or self._batch or self._pointers.waiting)

    def _gather(self) -> None:
        if not self._closed and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_GATHER_SECONDS, self._flush_soon)

    def _flush_soon(self) -> None:
        if not self._closed:
            self._flush()

    def _flush(self) -> asyncio.Task[None]:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._write())
        return self._flushing

    async def _write(self) -> None:
        """One batch, and the pointers; what is added meanwhile waits for the next."""
        if self._closed or self.lost:
            return
        if self._batch is None and self._items:
            self._number += 1
            self._total += self._bytes
            self._batch = Batch(self._number, self.last_index, encode_items(self._items), self._total)
            self._items, self._bytes = [], 0
        if self._pointers.waiting:
            await asyncio.gather(self._append(), self._pointers.write())
        else:
            await self._append()
        if self._items:
            self._gather()

    async def _append(self) -> None:
        sign = await self._store.append(self._flight, self._token, self._batch, self._body)
        if sign is None:
            self.lost = time.monotonic() - self._heard > self._store.options.lease_seconds
            return
        self._heard = time.monotonic()
        self.lost = not sign.leading
        self._batch, self._body = None, b""
        self._see(sign)

    def _see(self, sign: Sign) -> None:
        cancelled = self.state.cancelled or bool(self._pointers.answer_ids & sign.cancelled)
        self.state = WriterState(cancelled, sign.readers)
        if cancelled:
            self._cancelled.set()

    def _overflow(self) -> None:
        self._items, self._bytes = [], 0
        self.lost = True
        self._flushing = asyncio.create_task(self._end_overflown(self._flushing))

    async def _end_overflown(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before
        end = encode_items([end_item(self.last_index + 1, OVERFLOW, None)])
        ending = Ending(last_index=self.last_index + 1, batch=end, keep=True, entry=b"", ttl_seconds=1)
        await self._store.finish(self._flight, self._token, ending)

    async def _come_to_rest(self) -> None:
        """No more timers, and no write under way; one that has not begun will find nothing to do."""
        self._closed = True
        self._renewal.cancel()
        if self._timer is not None:
            self._timer.cancel()
        if self._flushing is not None:
            await asyncio.shield(self._flushing)
        await self._pointers.settled()


def _renew_later(writer: LogWriter) -> asyncio.TimerHandle:
    # Weak, so that a leader that was dropped without an end stops renewing its lease.
    seconds = writer._store.options.renewal_seconds
    return asyncio.get_running_loop().call_later(seconds, _renew, weakref.ref(writer))


def _renew(reference: "weakref.ref[LogWriter]") -> None:
    writer = reference()
    if writer is None or writer._closed or writer.lost:
        return
    writer._flush_soon()
    writer._renewal = _renew_later(writer)
