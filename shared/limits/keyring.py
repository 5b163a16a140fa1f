"""Authentication: from the `Authorization` header to a `Caller`.

A key is looked up in this process (for `LOCAL_TTL` seconds), then in Valkey, then in PostgreSQL. Valkey keeps
chat going when PostgreSQL is gone; a revoked key is deleted from Valkey, so it dies within `LOCAL_TTL`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.errors import AuthenticationError
from shared.limits.keys import Caller, find_caller, key_hash
from shared.postgres.database import Database
from shared.valkey.client import Valkey

LOCAL_TTL = timedelta(seconds=3)
VALKEY_TTL = timedelta(hours=1)

# Callers held in one process; beyond it the oldest leaves.
_LOCAL_SIZE = 4096


@dataclass(frozen=True)
class _Held:
    caller: Caller
    until: datetime


class KeyRing:
    """Knows callers by their key."""

    def __init__(self, database: Database, valkey: Valkey) -> None:
        self._database = database
        self._valkey = valkey
        self._held: dict[bytes, _Held] = {}

    async def authenticate(self, authorization: str | None, now: datetime) -> Caller:
        """The caller of a request.

        Raises:
            AuthenticationError: No `Bearer` key, or one that is unknown, expired or revoked.
            UnavailableError: The key is not cached and PostgreSQL cannot be reached.
        """
        hashed = key_hash(_bearer(authorization))
        held = self._held.get(hashed)
        caller = held.caller if held and now < held.until else await self._find(hashed, now)
        if caller is None or not caller.valid_at(now):
            raise AuthenticationError("This API key is unknown, expired or revoked; create one at /v1/keys.")
        return caller

    async def forget(self, hashed: bytes) -> None:
        """Drop a key that was changed or revoked from this process and from Valkey."""
        self._held.pop(hashed, None)
        await self._valkey.attempt(lambda client: client.delete(_valkey_key(hashed)))

    async def _find(self, hashed: bytes, now: datetime) -> Caller | None:
        caller = await self._from_valkey(hashed) or await self._from_postgres(hashed)
        if caller is not None:
            while len(self._held) >= _LOCAL_SIZE:
                del self._held[next(iter(self._held))]
            self._held.pop(hashed, None)
            self._held[hashed] = _Held(caller, now + LOCAL_TTL)
        return caller

    async def _from_valkey(self, hashed: bytes) -> Caller | None:
        stored = await self._valkey.attempt(lambda client: client.get(_valkey_key(hashed)))
        return Caller.model_validate_json(stored) if stored else None

    async def _from_postgres(self, hashed: bytes) -> Caller | None:
        async with self._database.anonymous() as connection:
            caller = await find_caller(connection, hashed)
        if caller is not None:
            value = caller.model_dump_json()
            await self._valkey.attempt(lambda client: client.set(_valkey_key(hashed), value, ex=VALKEY_TTL))
        return caller


def _bearer(authorization: str | None) -> str:
    scheme, _, key = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise AuthenticationError("No API key given; send the header `Authorization: Bearer <key>`.")
    return key.strip()


def _valkey_key(hashed: bytes) -> str:
    return f"key:{{{hashed.hex()}}}"
