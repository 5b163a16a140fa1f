"""API keys: who calls, and what the key may do. A key is stored as its SHA-256 and shown once."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg.rows import DictRow
from pydantic import BaseModel, ConfigDict

from shared.errors import NotFoundError
from shared.postgres.database import Connection

Role = Literal["admin", "member"]

_PREFIX = "sk-weir-"


class Caller(BaseModel):
    """A tenant's key as every request carries it. `models` of `None` allows all."""

    model_config = ConfigDict(frozen=True)

    tenant_id: str
    key_id: str
    role: Role
    models: frozenset[str] | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    expires_at: datetime | None = None

    def may_use(self, model: str) -> bool:
        """Whether the key allows this model."""
        return self.models is None or model in self.models

    def valid_at(self, now: datetime) -> bool:
        """Whether the key has not expired."""
        return self.expires_at is None or now < self.expires_at


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """What the creator of a key decides. Limits of `None` are no limit."""

    tenant_id: str
    name: str
    role: Role = "member"
    models: tuple[str, ...] | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class KeyRecord:
    """A key as it is listed: all but the key itself, of which only the `hint` remains."""

    key_id: str
    name: str
    role: Role
    hint: str
    models: tuple[str, ...] | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True)
class IssuedKey:
    """A new key with its plaintext, which exists nowhere else."""

    record: KeyRecord
    plaintext: str


def key_hash(plaintext: str) -> bytes:
    """SHA-256 of a key: what is stored and looked up. Keys are random, so no salt or stretching is needed."""
    return hashlib.sha256(plaintext.encode()).digest()


async def create_tenant(connection: Connection, tenant_id: str, name: str) -> None:
    """Create a tenant, or do nothing when it exists. The transaction must be that tenant's."""
    await connection.execute(
        "INSERT INTO tenants (tenant_id, name) VALUES (%s, %s) ON CONFLICT DO NOTHING", (tenant_id, name)
    )


async def create_key(connection: Connection, new: NewKey) -> IssuedKey:
    """Create a key in the tenant's transaction."""
    plaintext = _PREFIX + secrets.token_urlsafe(32)
    cursor = await connection.execute(
        """
        INSERT INTO api_keys (tenant_id, key_id, key_hash, hint, name, role, models,
                              requests_per_minute, tokens_per_minute, expires_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING *
        """,
        (
            new.tenant_id,
            f"key_{secrets.token_hex(12)}",
            key_hash(plaintext),
            f"{_PREFIX}...{plaintext[-4:]}",
            new.name,
            new.role,
            None if new.models is None else list(new.models),
            new.requests_per_minute,
            new.tokens_per_minute,
            new.expires_at,
        ),
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - INSERT ... RETURNING always answers
    return IssuedKey(_record(row), plaintext)


async def list_keys(connection: Connection) -> list[KeyRecord]:
    """Every key of the transaction's tenant, newest first."""
    cursor = await connection.execute("SELECT * FROM api_keys ORDER BY created_at DESC, key_id")
    return [_record(row) for row in await cursor.fetchall()]


async def revoke_key(connection: Connection, key_id: str, now: datetime) -> bytes:
    """Revoke a key for good and return its hash, by which caches forget it.

    Raises:
        NotFoundError: The tenant has no such key.
    """
    cursor = await connection.execute(
        "UPDATE api_keys SET revoked_at = coalesce(revoked_at, %s) WHERE key_id = %s RETURNING key_hash",
        (now, key_id),
    )
    row = await cursor.fetchone()
    if row is None:
        raise NotFoundError(f"There is no key {key_id!r}.")
    return bytes(row["key_hash"])


async def find_caller(connection: Connection, hashed: bytes) -> Caller | None:
    """The caller behind a key's hash, or `None` when it is unknown or revoked. Needs no tenant."""
    cursor = await connection.execute("SELECT * FROM find_api_key(%s)", (hashed,))
    row = await cursor.fetchone()
    if row is None or row["revoked_at"] is not None:
        return None
    return Caller(
        tenant_id=row["tenant_id"],
        key_id=row["key_id"],
        role=row["role"],
        models=None if row["models"] is None else frozenset(row["models"]),
        requests_per_minute=row["requests_per_minute"],
        tokens_per_minute=row["tokens_per_minute"],
        expires_at=row["expires_at"],
    )


def _record(row: DictRow) -> KeyRecord:
    return KeyRecord(
        key_id=row["key_id"],
        name=row["name"],
        role=row["role"],
        hint=row["hint"],
        models=None if row["models"] is None else tuple(row["models"]),
        requests_per_minute=row["requests_per_minute"],
        tokens_per_minute=row["tokens_per_minute"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )
