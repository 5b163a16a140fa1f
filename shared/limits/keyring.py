"""Authentication: from the `Authorization` header to a `Caller`.

A key is looked up in this process (`LOCAL_TTL`), then in Valkey, then in PostgreSQL. A record carries the
moment before PostgreSQL was read, and Valkey's counts while it is younger than `FRESH`: whoever writes back
what was read before a change, writes it old. So a change is in force everywhere within `LOCAL_TTL + FRESH`,
plus what clocks differ (`_AHEAD` at most). An older record is used only where PostgreSQL cannot be asked.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.errors import AuthenticationError, UnavailableError
from shared.limits.caller import Caller, find_caller, key_hash
from shared.limits.outage import Outage
from shared.postgres.database import Database
from shared.valkey.client import Valkey

V = TypeVar("V")

LOCAL_TTL = timedelta(seconds=2)
FRESH = timedelta(seconds=2)
# How long a key goes on without PostgreSQL.
STALE_TTL = timedelta(hours=1)

# Another machine's clock may be so far ahead; a record from further on is taken for stale.
_AHEAD = timedelta(seconds=0.5)

# Seconds that a request waits for PostgreSQL: with an older record to go on with, and without.
_PATIENCE, _LONG_PATIENCE = 0.5, 3.0

# Callers, and hashes that nobody has, held in one process; beyond it the oldest leaves.
_LOCAL_SIZE = 4096


class Record(BaseModel):
    """A caller, and when PostgreSQL was asked for it."""

    model_config = ConfigDict(frozen=True)

    caller: Caller
    read_at: datetime

    def fresh_at(self, now: datetime) -> bool:
        """Whether every change older than `FRESH` is in it."""
        return -_AHEAD <= now - self.read_at < FRESH

    def usable_at(self, now: datetime) -> bool:
        """Whether it will do while PostgreSQL is gone."""
        return now - self.read_at < STALE_TTL


@dataclass(frozen=True, slots=True)
class _Held:
    record: Record
    since: datetime
    until: datetime


class KeyRing:
    """Knows callers by their key."""

    def __init__(self, database: Database, valkey: Valkey) -> None:
        self._database = database
        self._valkey = valkey
        self._held: dict[bytes, _Held] = {}
        # Until when a hash is known to be nobody's.
        self._unknown: dict[bytes, datetime] = {}
        self._reading: dict[bytes, asyncio.Task[Record | None]] = {}
        self._outage = Outage()

    async def authenticate(self, authorization: str | None, now: datetime) -> Caller:
        """The caller of a request.

        Raises:
            AuthenticationError: No `Bearer` key, or one that is unknown, expired or revoked.
            UnavailableError: The key is not cached and PostgreSQL cannot be reached.
        """
        return await self.caller_of(key_hash(_bearer(authorization)), now)

    async def caller_of(self, hashed: bytes, now: datetime) -> Caller:
        """Who holds the key with this hash.

        Raises:
            AuthenticationError: The key is unknown, expired or revoked.
            UnavailableError: The key is not cached and PostgreSQL cannot be reached.
        """
        held = self._held.get(hashed)
        if held is not None and held.since <= now < held.until:
            record: Record | None = held.record
        else:
            record = await self._find(hashed, now)
        if record is None or not record.caller.valid_at(now):
            raise AuthenticationError("This API key is unknown, expired or revoked; create one at /v1/keys.")
        return record.caller

    async def forget(self, *hashes: bytes) -> None:
        """Drop keys that were changed or revoked from this process and from Valkey."""
        for hashed in hashes:
            self._held.pop(hashed, None)
            await self._delete(hashed)

    def forget_tenant(self, tenant_id: str) -> None:
        """Drop a tenant's keys from this process; elsewhere they age."""
        for hashed in [h for h, held in self._held.items() if held.record.caller.tenant_id == tenant_id]:
            del self._held[hashed]

    async def _find(self, hashed: bytes, now: datetime) -> Record | None:
        if now < self._unknown.get(hashed, now):
            return None
        known = await self._from_valkey(hashed)
        if known is not None and known.fresh_at(now):
            return self._hold(hashed, known, now)
        stale = _newest(known, self._held.get(hashed), now)
        try:
            async with asyncio.timeout(self._patience(stale)):
                return await asyncio.shield(self._reading_of(hashed, now, known))
        except (UnavailableError, TimeoutError) as error:
            self._outage.begin()
            if stale is None:
                raise UnavailableError(
                    "Keys cannot be looked up at the moment; try again shortly."
                ) from error
            return self._hold(hashed, stale, now)

    def _patience(self, stale: Record | None) -> float:
        if self._outage.under_way:
            return 0.0
        return _LONG_PATIENCE if stale is None else _PATIENCE

    def _reading_of(self, hashed: bytes, now: datetime, known: Record | None) -> asyncio.Task[Record | None]:
        """The look-up of a key that is under way, or a new one; it goes on when its caller loses patience.

        Raises:
            UnavailableError: PostgreSQL failed lately, and another look-up is finding out whether it is back.
        """
        reading = self._reading.get(hashed)
        if reading is None:
            if self._outage.under_way and self._reading:
                raise UnavailableError("The database cannot be reached; try again shortly.")
            reading = self._reading[hashed] = asyncio.create_task(self._read(hashed, now, known))
            reading.add_done_callback(lambda done: self._finished(hashed, done))
        return reading

    def _finished(self, hashed: bytes, done: asyncio.Task[Record | None]) -> None:
        del self._reading[hashed]
        if not done.cancelled():
            # Whoever still waits is told of a failure; if nobody does, it is no news either.
            done.exception()

    async def _read(self, hashed: bytes, now: datetime, known: Record | None) -> Record | None:
        """Ask PostgreSQL, and tell this process and Valkey."""
        try:
            async with asyncio.timeout(_LONG_PATIENCE), self._database.anonymous() as connection:
                caller = await find_caller(connection, hashed)
        except (UnavailableError, TimeoutError) as error:
            self._outage.begin()
            raise UnavailableError("The database cannot be reached; try again shortly.") from error
        self._outage.end()
        if caller is None:
            _put(self._unknown, hashed, now + LOCAL_TTL)
            self._held.pop(hashed, None)
            if known is not None:
                await self.forget(hashed)
            return None
        record = self._hold(hashed, Record(caller=caller, read_at=now), now)
        value = record.model_dump_json()
        await self._valkey.attempt(lambda client: client.set(_valkey_key(hashed), value, ex=STALE_TTL))
        return record

    async def _from_valkey(self, hashed: bytes) -> Record | None:
        stored = await self._valkey.attempt(lambda client: client.get(_valkey_key(hashed)))
        try:
            return Record.model_validate_json(stored) if stored else None
        except ValidationError:
            # Another release writes other records.
            return None

    async def _delete(self, hashed: bytes) -> None:
        await self._valkey.attempt(lambda client: client.delete(_valkey_key(hashed)))

    def _hold(self, hashed: bytes, record: Record, now: datetime) -> Record:
        _put(self._held, hashed, _Held(record, now, now + LOCAL_TTL))
        return record


def _newest(known: Record | None, held: _Held | None, now: datetime) -> Record | None:
    """The newest record that will do without PostgreSQL."""
    records = [record for record in (known, held and held.record) if record and record.usable_at(now)]
    return max(records, key=lambda record: record.read_at, default=None)


def _put(place: dict[bytes, V], hashed: bytes, value: V) -> None:
    """Remember a value; the oldest leaves when there are too many."""
    place.pop(hashed, None)
    while len(place) >= _LOCAL_SIZE:
        del place[next(iter(place))]
    place[hashed] = value


def _bearer(authorization: str | None) -> str:
    scheme, _, key = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise AuthenticationError("No API key given; send the header `Authorization: Bearer <key>`.")
    return key.strip()


def _valkey_key(hashed: bytes) -> str:
    return f"caller:{{{hashed.hex()}}}"
