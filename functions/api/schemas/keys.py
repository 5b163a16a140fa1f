"""API keys as they are created and listed."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field, PositiveInt

from api.schemas.fields import Item, Name, RequestModel, Text
from api.schemas.files import unix
from shared.limits.keys import IssuedKey, KeyRecord, Role

# PostgreSQL's integer.
_PerMinute = Annotated[PositiveInt, Field(le=2**31 - 1)]


class CreateKeyRequest(RequestModel):
    """POST /v1/keys. What is left out is not limited."""

    name: Annotated[Name, Field(min_length=1)]
    role: Role = "member"
    models: (
        Annotated[list[Annotated[Text, Field(min_length=1, max_length=256)]], Field(max_length=256)] | None
    ) = None
    requests_per_minute: _PerMinute | None = None
    tokens_per_minute: _PerMinute | None = None
    expires_at: AwareDatetime | None = None


class KeyObject(Item):
    """A key; of the key itself only the `hint` remains."""

    object: Literal["api_key"] = "api_key"
    name: str
    role: Role
    hint: str
    models: list[str] | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    created_at: int
    expires_at: int | None
    revoked_at: int | None


class IssuedKeyObject(KeyObject):
    """A new key with its plaintext, which is shown this once."""

    key: str


class KeyRevoked(BaseModel):
    """The answer when a key is revoked."""

    id: str
    object: Literal["api_key.deleted"] = "api_key.deleted"
    deleted: Literal[True] = True


def key_object(record: KeyRecord) -> KeyObject:
    """A key as it is listed."""
    return KeyObject(
        id=record.key_id,
        name=record.name,
        role=record.role,
        hint=record.hint,
        models=None if record.models is None else list(record.models),
        requests_per_minute=record.requests_per_minute,
        tokens_per_minute=record.tokens_per_minute,
        created_at=unix(record.created_at),
        expires_at=None if record.expires_at is None else unix(record.expires_at),
        revoked_at=None if record.revoked_at is None else unix(record.revoked_at),
    )


def issued_key_object(issued: IssuedKey) -> IssuedKeyObject:
    """A new key as its creator sees it."""
    return IssuedKeyObject(**key_object(issued.record).model_dump(), key=issued.plaintext)
