"""Flights in Valkey: one method per script, typed. `None` everywhere: Valkey is slow or gone."""

from typing import Any, TypeAlias, cast

import orjson
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from shared.cache.flight_key import Flight, FlightKey, FlightOptions
from shared.cache.flight_models import (
    Batch,
    Boarded,
    Ending,
    Located,
    LogEntry,
    Reading,
    Sign,
    Taken,
)
from shared.cache.log_item import LogItem, encode_items
from shared.valkey.client import Valkey
from shared.valkey.script import Script

_BOARD = Script("shared.cache", "flight_board.lua")
_OPEN = Script("shared.cache", "flight_open.lua")
_APPEND = Script("shared.cache", "flight_append.lua")
_FINISH = Script("shared.cache", "flight_finish.lua")
_SEAL = Script("shared.cache", "flight_seal.lua")
_READ = Script("shared.cache", "flight_read.lua")
_TAKE_OVER = Script("shared.cache", "flight_take_over.lua")
_CANCEL = Script("shared.cache", "flight_cancel.lua")

# Seconds for which a reader counts without a sign.
READER_SECONDS = 30.0

# Entries per read: at 8 KB a batch, half a megabyte.
_ENTRIES = 64

_Arguments: TypeAlias = list[str | bytes | int | float]


class FlightStore:
    """Runs the scripts."""

    def __init__(self, valkey: Valkey, options: FlightOptions) -> None:
        self._valkey = valkey
        self.options = options
        self._log_ms = _ms(options.log_seconds)
        self._lease_ms = _ms(options.lease_seconds)
        self._first_lease_ms = _ms(options.first_lease_seconds)

    async def board(self, flight: Flight, token: str, *, recall: bool) -> Boarded | None:
        """The entry, else the lead, else whom to follow (the caller then counts as its reader)."""
        key = flight.key
        answer = await self._run(
            _BOARD,
            [key.entry, key.flight, key.readers, flight.lease, flight.state, flight.log],
            [int(recall), flight.flight_id, token, self._first_lease_ms, self._log_ms, _ms(READER_SECONDS)],
        )
        return None if answer is None else Boarded(answer[0].decode(), answer[1])

    async def known(self, key: FlightKey) -> bool:
        """Whether there is an entry, or a flight to join."""
        return bool(await self._valkey.attempt(lambda client: client.exists(key.entry, key.flight)))

    async def open(self, flight: Flight, token: str) -> bool:
        """Begin a flight that nobody joins."""
        keys = [flight.lease, flight.state, flight.log]
        return await self._run(_OPEN, keys, [token, self._first_lease_ms, self._log_ms]) is not None

    async def append(self, flight: Flight, token: str, batch: Batch | None, body: bytes) -> Sign | None:
        """Write a batch and renew the lease; without a batch only renew it."""
        number, last, data, total = (
            (batch.number, batch.last_index, batch.data, batch.total_bytes) if batch else (0, 0, b"", 0)
        )
        key = flight.key
        answer = await self._run(
            _APPEND,
            [flight.log, flight.lease, flight.state, flight.body, key.flight, key.readers],
            [token, flight.flight_id, self._lease_ms, self._log_ms, number, last, data, total, body],
        )
        if answer is None:
            return None
        leading, readers, cancelled = answer
        return Sign(bool(leading), readers, frozenset(cancelled.decode().split()))

    async def finish(self, flight: Flight, token: str, ending: Ending) -> bool | None:
        """End the flight; whether its log has its end."""
        key = flight.key
        answer = await self._run(
            _FINISH,
            [flight.log, flight.lease, flight.state, flight.body, key.flight, key.readers, key.entry],
            [
                *(token, flight.flight_id, self._log_ms, ending.last_index, ending.batch),
                *(int(ending.keep), ending.entry, ending.ttl_seconds * 1000),
            ],
        )
        return None if answer is None else bool(answer)

    async def seal(self, flight: Flight, token: str) -> bool | None:
        """Let nobody join a flight any more; `False`, and nothing is done: somebody reads it."""
        key = flight.key
        answer = await self._run(_SEAL, [flight.state, key.flight, key.readers], [token, flight.flight_id])
        return None if answer is None else bool(answer)

    async def take_over(self, flight: Flight, token: str) -> Taken | None:
        """Lead a flight whose leader is gone; `None` also if there is nothing to take over."""
        keys = [flight.log, flight.lease, flight.state, flight.key.flight]
        answer = await self._run(
            _TAKE_OVER, keys, [token, flight.flight_id, self._first_lease_ms, self._log_ms]
        )
        return Taken(*answer) if answer else None

    async def cancel(self, flight: Flight, answer_id: str) -> bool:
        """Note that an answer is not wanted any more; whether there was something to stop."""
        item = encode_items([LogItem("cancel", 0, answer_id.encode())])
        return bool(await self._run(_CANCEL, [flight.log, flight.state], [answer_id, item, self._log_ms]))

    async def read(self, flight: Flight, cursor: str, reader_id: str) -> Reading | None:
        """What there is after a cursor, at once; registers the reader for `READER_SECONDS`."""
        answer = await self._run(
            _READ,
            [flight.log, flight.lease, flight.state, flight.key.readers],
            [cursor, _ENTRIES, flight.flight_id, reader_id, _ms(READER_SECONDS)],
        )
        if answer is None:
            return None
        entries = [(entry_id.decode(), fields[1]) for entry_id, fields in answer[0]]
        return Reading(entries, answer[1].decode())

    async def wait(self, flight: Flight, cursor: str, wait_ms: int) -> list[LogEntry] | None:
        """What comes after a cursor within a time; empty if nothing does."""
        command = ("XREAD", "COUNT", _ENTRIES, "BLOCK", wait_ms, "STREAMS", flight.log, cursor)

        async def read(client: Redis) -> list[LogEntry]:
            answer = await client.execute_command(*command, **_target(client, flight.log))  # type: ignore[no-untyped-call]
            return _entries(answer)

        return await self._valkey.attempt(read, waits_ms=wait_ms + _WAKING_MS)

    async def leave(self, flight: Flight, reader_id: str) -> None:
        """Count no more as a reader."""
        member = f"{flight.flight_id}\0{reader_id}"
        await self._valkey.attempt(lambda client: client.zrem(flight.key.readers, member))

    async def entry(self, key: FlightKey) -> bytes | None:
        """A stored answer."""
        return cast("bytes | None", await self._valkey.attempt(lambda client: client.get(key.entry)))

    async def body(self, flight: Flight) -> bytes | None:
        """The composed request, as long as the flight has no end."""
        return cast("bytes | None", await self._valkey.attempt(lambda client: client.get(flight.body)))

    async def point(self, flight: Flight, answer_id: str, key_id: str) -> bool:
        """Let an answer's id lead to its log."""
        key = flight.key
        name = _pointer(key.tenant_id, answer_id)
        value = orjson.dumps([key.tenant_id, answer_id, key.digest, flight.flight_id, key_id])
        expire = _ms(self.options.pointer_seconds)
        return bool(await self._valkey.attempt(lambda client: client.set(name, value, px=expire)))

    async def locate(self, tenant_id: str, answer_id: str) -> Located | None:
        """Where an answer's id leads to; `None` also for an id that is not known."""
        data = await self._valkey.attempt(lambda client: client.get(_pointer(tenant_id, answer_id)))
        if data is None:
            return None
        tenant, answer, digest, flight_id, key_id = orjson.loads(data)
        # A name made of two ids may stand for two pairs; the value says for which it does.
        if (tenant, answer) != (tenant_id, answer_id):
            return None
        return Located(FlightKey(tenant, digest), flight_id, key_id)

    async def _run(self, script: Script, keys: list[str], arguments: _Arguments) -> Any:
        return await self._valkey.attempt(lambda client: script.run(client, keys, arguments))


# A blocked read is answered by the server's timer, which is not exact to the millisecond.
_WAKING_MS = 100


def _target(client: Redis, key: str) -> dict[str, Any]:
    # A cluster client asks the server where the key of an XREAD is, each time; unless it is told.
    if isinstance(client, RedisCluster):
        return {"target_nodes": client.get_node_from_key(key)}
    return {}


def _entries(answer: Any) -> list[LogEntry]:
    if not answer:
        return []
    raw = next(iter(answer.values())) if isinstance(answer, dict) else answer[0][1]
    return [(entry_id.decode(), fields[b"i"]) for entry_id, fields in raw]


def _pointer(tenant_id: str, answer_id: str) -> str:
    return f"answer:{{{tenant_id}:{answer_id}}}"


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
