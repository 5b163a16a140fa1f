"""API keys as a tenant's admins see them. A key is stored as its SHA-256 and shown once."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import sql
from psycopg.rows import DictRow

from shared.errors import ConflictError, NotFoundError
from shared.limits.caller import Role, key_hash
from shared.limits.columns import LIMIT_COLUMNS, cache_in, limit_values, limits_in
from shared.limits.limits import ANY_CACHE, UNLIMITED, CachePolicy, Limits
from shared.postgres.database import Connection

_PREFIX = "sk-weir-"
_COLUMNS = {
    "settings": sql.SQL("name, models, {}, cache_mode, cache_ttl_seconds, expires_at").format(LIMIT_COLUMNS),
    "rest": sql.SQL("key_id, role, hint, created_at, revoked_at"),
}
_INSERT = sql.SQL("""
    INSERT INTO api_keys (tenant_id, key_id, key_hash, hint, role, {settings})
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    RETURNING {rest}, {settings}
""").format(**_COLUMNS)
_LIST = sql.SQL("SELECT {rest}, {settings} FROM api_keys ORDER BY created_at DESC, key_id").format(**_COLUMNS)
_GET = sql.SQL("SELECT {rest}, {settings} FROM api_keys WHERE key_id = %s FOR UPDATE").format(**_COLUMNS)
_UPDATE = sql.SQL("""
    UPDATE api_keys SET ({settings}) = ROW (%s, %s::text[], %s, %s, %s, %s, %s, %s, %s, %s)
    WHERE key_id = %s AND revoked_at IS NULL
    RETURNING {rest}, {settings}
""").format(**_COLUMNS)
_ROTATE = sql.SQL("""
    UPDATE api_keys
    SET previous_key_hash = key_hash, previous_key_until = %s, key_hash = %s, hint = %s
    WHERE key_id = %s AND revoked_at IS NULL
    RETURNING {rest}, {settings}
""").format(**_COLUMNS)


@dataclass(frozen=True, kw_only=True)
class KeySettings:
    """What may be changed of a key. `models` of `None` allows all, `expires_at` of `None` never comes."""

    name: str
    models: tuple[str, ...] | None = None
    limits: Limits = UNLIMITED
    cache: CachePolicy = ANY_CACHE
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class NewKey(KeySettings):
    """What the creator of a key decides."""

    tenant_id: str
    role: Role = "member"

    @classmethod
    def of(cls, settings: KeySettings, *, tenant_id: str, role: Role) -> "NewKey":
        """A key with these settings."""
        return cls(**vars(settings), tenant_id=tenant_id, role=role)


@dataclass(frozen=True, kw_only=True)
class KeyRecord:
    """A key as it is listed: all but the key itself, of which only the `hint` remains."""

    key_id: str
    role: Role
    hint: str
    settings: KeySettings
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True)
class IssuedKey:
    """A new key with its plaintext, which exists nowhere else."""

    record: KeyRecord
    plaintext: str


async def create_key(connection: Connection, new: NewKey) -> IssuedKey:
    """Create a key in the tenant's transaction."""
    plaintext, hint = _secret()
    row = await _one(
        connection,
        _INSERT,
        new.tenant_id,
        f"key_{secrets.token_hex(12)}",
        key_hash(plaintext),
        hint,
        new.role,
        *_values(new),
    )
    assert row is not None  # noqa: S101 - INSERT ... RETURNING always answers
    return IssuedKey(_record(row), plaintext)


async def list_keys(connection: Connection) -> list[KeyRecord]:
    """Every key of the transaction's tenant, newest first."""
    cursor = await connection.execute(_LIST)
    return [_record(row) for row in await cursor.fetchall()]


async def get_key(connection: Connection, key_id: str) -> KeyRecord:
    """One key of the transaction's tenant, which stays as it is until the transaction ends.

    Raises:
        NotFoundError: The tenant has no such key.
    """
    return _record(_found(await _one(connection, _GET, key_id), key_id))


async def hashes_of(connection: Connection, key_id: str) -> tuple[bytes, ...]:
    """The hashes by which caches know a key: that of its secret, and that of the one before.

    Raises:
        NotFoundError: The tenant has no such key.
    """
    cursor = await connection.execute(
        "SELECT key_hash, previous_key_hash FROM api_keys WHERE key_id = %s", (key_id,)
    )
    row = _found(await cursor.fetchone(), key_id)
    return tuple(bytes(hashed) for hashed in row.values() if hashed is not None)


async def update_key(connection: Connection, key_id: str, settings: KeySettings) -> KeyRecord:
    """Replace what may be changed of a key.

    Raises:
        NotFoundError: The tenant has no such key.
        ConflictError: It is revoked.
    """
    row = await _one(connection, _UPDATE, *_values(settings), key_id)
    return _record(row or await _refuse_revoked(connection, key_id))


async def rotate_key(connection: Connection, key_id: str, now: datetime, overlap: timedelta) -> IssuedKey:
    """Give a key a new secret. The one it has ends after `overlap`, and the one before that ends now.

    Raises:
        NotFoundError: The tenant has no such key.
        ConflictError: It is revoked.
    """
    plaintext, hint = _secret()
    row = await _one(
        connection,
        _ROTATE,
        now + overlap,
        key_hash(plaintext),
        hint,
        key_id,
    )
    return IssuedKey(_record(row or await _refuse_revoked(connection, key_id)), plaintext)


async def revoke_key(connection: Connection, key_id: str, now: datetime) -> bytes:
    """Revoke a key for good and return its hash, by which caches forget it.

    Raises:
        NotFoundError: The tenant has no such key.
    """
    cursor = await connection.execute(
        "UPDATE api_keys SET revoked_at = coalesce(revoked_at, %s) WHERE key_id = %s RETURNING key_hash",
        (now, key_id),
    )
    return bytes(_found(await cursor.fetchone(), key_id)["key_hash"])


async def _one(connection: Connection, statement: sql.Composed, *values: Any) -> DictRow | None:
    return await (await connection.execute(statement, values)).fetchone()


async def _refuse_revoked(connection: Connection, key_id: str) -> DictRow:
    await get_key(connection, key_id)
    raise ConflictError(f"The key {key_id!r} is revoked, for good; create another.")


def _found(row: DictRow | None, key_id: str) -> DictRow:
    if row is None:
        raise NotFoundError(f"There is no key {key_id!r}.")
    return row


def _secret() -> tuple[str, str]:
    """A new secret, and the hint by which people tell it."""
    plaintext = _PREFIX + secrets.token_urlsafe(32)
    return plaintext, f"{_PREFIX}...{plaintext[-4:]}"


def _values(settings: KeySettings) -> tuple[Any, ...]:
    """The values of `settings` among `_COLUMNS`."""
    return (
        settings.name,
        None if settings.models is None else list(settings.models),
        *limit_values(settings.limits),
        settings.cache.mode,
        settings.cache.ttl_seconds,
        settings.expires_at,
    )


def _record(row: DictRow) -> KeyRecord:
    return KeyRecord(
        key_id=row["key_id"],
        role=row["role"],
        hint=row["hint"],
        settings=KeySettings(
            name=row["name"],
            models=None if row["models"] is None else tuple(row["models"]),
            limits=limits_in(row),
            cache=cache_in(row),
            expires_at=row["expires_at"],
        ),
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )
