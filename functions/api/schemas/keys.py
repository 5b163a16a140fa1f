"""API keys as they are created, changed and listed."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field

from api.schemas.fields import Item, Name, RequestModel, Text
from api.schemas.files import unix
from api.schemas.limits import LimitFields, ShownLimits, shown_limits
from shared.limits.caller import Role
from shared.limits.keys import IssuedKey, KeyRecord, KeySettings
from shared.limits.limits import CacheMode, CachePolicy

_KeyName = Annotated[Name, Field(min_length=1)]
_Models = Annotated[list[Annotated[Text, Field(min_length=1, max_length=256)]], Field(max_length=256)]

_DAY = 86_400


class CacheFields(RequestModel):
    """How the key's requests use the cache, unless they say so themselves. `ttl` is in seconds."""

    mode: CacheMode | None = None
    ttl: Annotated[int, Field(gt=0, le=30 * _DAY)] | None = None


class _SettingFields(LimitFields):
    models: _Models | None = None
    cache: CacheFields | None = None
    expires_at: AwareDatetime | None = None

    def applied_to_settings(self, settings: KeySettings) -> KeySettings:
        """The settings with those changed that were sent, be it to null."""
        sent = self.model_fields_set
        cache = self.cache or CacheFields()
        return replace(
            settings,
            models=_models(self.models) if "models" in sent else settings.models,
            limits=self.applied_to(settings.limits),
            cache=CachePolicy(mode=cache.mode, ttl_seconds=cache.ttl) if "cache" in sent else settings.cache,
            expires_at=self.expires_at if "expires_at" in sent else settings.expires_at,
        )


class CreateKeyRequest(_SettingFields):
    """POST /v1/keys. What is left out is not limited."""

    name: _KeyName
    role: Role = "member"

    @property
    def settings(self) -> KeySettings:
        """What may be changed later."""
        return self.applied_to_settings(KeySettings(name=self.name))


class UpdateKeyRequest(_SettingFields):
    """POST /v1/keys/{id}. What is left out stays as it is; null takes a limit away."""

    name: _KeyName | None = None

    def changed(self, settings: KeySettings) -> KeySettings:
        """The settings as they are to be."""
        return self.applied_to_settings(replace(settings, name=self.name or settings.name))


class RotateKeyRequest(RequestModel):
    """POST /v1/keys/{id}/rotate. For `overlap_seconds` the old secret works beside the new one."""

    overlap_seconds: Annotated[int, Field(ge=0, le=30 * _DAY)] = 0


class KeyObject(Item, ShownLimits):
    """A key; of the key itself only the `hint` remains."""

    object: Literal["api_key"] = "api_key"
    name: str
    role: Role
    hint: str
    models: list[str] | None
    cache: CacheFields
    created_at: int
    expires_at: int | None
    revoked_at: int | None


class IssuedKeyObject(KeyObject):
    """A key with its new plaintext, which is shown this once."""

    key: str


class KeyRevoked(BaseModel):
    """The answer when a key is revoked."""

    id: str
    object: Literal["api_key.deleted"] = "api_key.deleted"
    deleted: Literal[True] = True


def key_object(record: KeyRecord) -> KeyObject:
    """A key as it is listed."""
    settings = record.settings
    return KeyObject.model_validate(
        {
            "id": record.key_id,
            "name": settings.name,
            "role": record.role,
            "hint": record.hint,
            "models": settings.models,
            **shown_limits(settings.limits),
            "cache": CacheFields(mode=settings.cache.mode, ttl=settings.cache.ttl_seconds),
            "created_at": unix(record.created_at),
            "expires_at": None if settings.expires_at is None else unix(settings.expires_at),
            "revoked_at": None if record.revoked_at is None else unix(record.revoked_at),
        }
    )


def issued_key_object(issued: IssuedKey) -> IssuedKeyObject:
    """A key as it is shown to whoever had its secret made."""
    return IssuedKeyObject(**key_object(issued.record).model_dump(), key=issued.plaintext)


def _models(models: list[str] | None) -> tuple[str, ...] | None:
    return None if models is None else tuple(models)
