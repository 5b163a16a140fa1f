"""Single flight and resumable answers: identical questions share one call, and its log can be read again.

Whoever boards first leads, and writes its answer into a log; the others read that log live. A leader that
dies is taken over when its lease is out, and a token in each write keeps it from writing after that. The log
stays readable for a while after the end, so a client that lost its connection misses nothing.
"""

import re
import secrets
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from shared.cache.entry import Entry
from shared.cache.flight_key import Flight, FlightKey, FlightOptions
from shared.cache.flight_models import Located
from shared.cache.flight_store import FlightStore
from shared.cache.log_item import LogBatch, LogItem
from shared.cache.log_reader import LeaderLost, LogGone, follow
from shared.cache.log_writer import OVERFLOW, LogWriter, WriterState
from shared.valkey.client import Valkey

__all__ = [
    "OVERFLOW",
    "FlightKey",
    "FlightOptions",
    "Flights",
    "Follow",
    "Hit",
    "Lead",
    "LeaderLost",
    "Located",
    "LogBatch",
    "LogGone",
    "LogItem",
    "LogWriter",
    "WriterState",
]

# Ids stand in keys and in lists separated by white space.
_ANSWER_ID = re.compile(r"[!-~]{1,200}")


@dataclass(frozen=True)
class Hit:
    """The answer is stored."""

    entry: Entry


@dataclass(frozen=True)
class Lead:
    """Ask upstream and write the log; end it with `finish` or `abandon`."""

    writer: LogWriter


@dataclass(frozen=True)
class Follow:
    """Another asks already: read its log. `reader_id` is already counted among its readers."""

    flight_id: str
    reader_id: str


class Flights:
    """Flights of all tenants. `None` as an answer: Valkey is slow or gone, go on alone."""

    def __init__(self, valkey: Valkey, options: FlightOptions | None = None) -> None:
        self._store = FlightStore(valkey, options or FlightOptions())

    async def board(self, key: FlightKey, flight_id: str, *, recall: bool) -> Hit | Lead | Follow | None:
        """Join what is known of a question, in one round trip.

        Args:
            flight_id: Names this attempt, and the caller as a reader; unique, such as a request's id.
            recall: Whether a stored answer is wanted.
        """
        flight, token = Flight(key, flight_id), _token()
        boarded = await self._store.board(flight, token, recall=recall)
        if boarded is None:
            return None
        if boarded.role == "follow":
            return Follow(boarded.data.decode(), flight_id)
        if boarded.role == "lead":
            return Lead(LogWriter(self._store, flight, token))
        try:
            return Hit(Entry.decode(boarded.data))
        except ValueError:
            # Not ours to read: answer anew, which replaces it.
            return await self.board(key, flight_id, recall=False)

    async def peek(self, key: FlightKey) -> Entry | None:
        """A stored answer; `None` also if Valkey cannot say, or it is not ours to read."""
        stored = await self._store.entry(key)
        try:
            return Entry.decode(stored) if stored else None
        except ValueError:
            return None

    async def known(self, key: FlightKey) -> bool:
        """Whether an answer is stored or under way; `False` also if Valkey cannot say."""
        return await self._store.known(key)

    async def open(self, key: FlightKey, flight_id: str) -> LogWriter | None:
        """A log that nobody joins, but that can be resumed."""
        flight, token = Flight(key, flight_id), _token()
        return LogWriter(self._store, flight, token) if await self._store.open(flight, token) else None

    def follow(
        self, key: FlightKey, flight_id: str, after: int = 0, *, reader_id: str | None = None
    ) -> AsyncGenerator[LogBatch, None]:
        """Read a log live, also one that is not begun yet; ends after the end item.

        Args:
            after: Index of the last item that the reader has; 0 for all. Items up to it do not come again.
            reader_id: From `Follow`; made up where there is none.

        Raises:
            LeaderLost: Nobody leads and there is no end: `take_over`, or tell the client.
            LogGone: Valkey cannot be reached or the log has expired.
        """
        return follow(self._store, Flight(key, flight_id), after, reader_id or _token())

    async def take_over(self, key: FlightKey, flight_id: str) -> LogWriter | None:
        """Lead a flight whose leader is gone, with items from `last_index + 1` on.

        Of many who try, one gets it. The others get `None`, as all do once the flight has ended or is gone:
        follow again.
        """
        flight, token = Flight(key, flight_id), _token()
        taken = await self._store.take_over(flight, token)
        return LogWriter(self._store, flight, token, taken) if taken else None

    async def body(self, key: FlightKey, flight_id: str) -> bytes | None:
        """The composed request of a flight under way, as `LogWriter.keep_body` got it."""
        return await self._store.body(Flight(key, flight_id))

    async def point(self, key: FlightKey, flight_id: str, answer_id: str, key_id: str) -> bool:
        """Let a follower's own answer id lead to the log that it reads."""
        return bool(_ANSWER_ID.fullmatch(answer_id)) and await self._store.point(
            Flight(key, flight_id), answer_id, key_id
        )

    async def locate(self, tenant_id: str, answer_id: str) -> Located | None:
        """Where the log of an answer is, and whose key asked; `None` if this tenant has no such answer."""
        return await self._store.locate(tenant_id, answer_id) if _ANSWER_ID.fullmatch(answer_id) else None

    async def cancel(self, located: Located, answer_id: str) -> bool:
        """Say that the caller of an answer wants no more of it.

        The leader sees it with its next append or renewal, a live follower as an item of kind "cancel".
        `False`: there is nothing to stop.
        """
        return bool(_ANSWER_ID.fullmatch(answer_id)) and await self._store.cancel(
            Flight(located.key, located.flight_id), answer_id
        )


def _token() -> str:
    return secrets.token_hex(8)
