"""Who calls: the tenant and the key behind a secret, and what the key may do."""

import hashlib
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.limits.columns import cache_in, limits_in
from shared.limits.limits import ANY_CACHE, UNLIMITED, CachePolicy, Limits
from shared.postgres.database import Connection

Role = Literal["admin", "member"]


class Caller(BaseModel):
    """A tenant's key as every request carries it. `models` of `None` allows all."""

    model_config = ConfigDict(frozen=True)

    tenant_id: str
    key_id: str
    role: Role
    models: frozenset[str] | None = None
    limits: Limits = UNLIMITED
    tenant_limits: Limits = UNLIMITED
    cache: CachePolicy = ANY_CACHE
    expires_at: datetime | None = None

    def may_use(self, model: str) -> bool:
        """Whether the key allows this model."""
        return self.models is None or model in self.models

    def valid_at(self, now: datetime) -> bool:
        """Whether the key has not expired."""
        return self.expires_at is None or now < self.expires_at


def key_hash(plaintext: str) -> bytes:
    """SHA-256 of a key: what is stored and looked up. Keys are random, so no salt or stretching is needed."""
    return hashlib.sha256(plaintext.encode()).digest()


async def find_caller(connection: Connection, hashed: bytes) -> Caller | None:
    """The caller behind a key's hash, or `None` when it is unknown or revoked. Needs no tenant."""
    cursor = await connection.execute("SELECT * FROM find_caller(%s)", (hashed,))
    row = await cursor.fetchone()
    if row is None:
        return None
    return Caller(
        tenant_id=row["tenant_id"],
        key_id=row["key_id"],
        role=row["role"],
        models=None if row["models"] is None else frozenset(row["models"]),
        limits=limits_in(row),
        tenant_limits=limits_in(row, "tenant_"),
        cache=cache_in(row),
        expires_at=row["expires_at"],
    )
