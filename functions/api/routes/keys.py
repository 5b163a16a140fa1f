"""/v1/keys, for admins."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.caller import WithAdmin, WithServices
from api.schemas.fields import KeyPath
from api.schemas.keys import (
    CreateKeyRequest,
    IssuedKeyObject,
    KeyObject,
    KeyRevoked,
    issued_key_object,
    key_object,
)
from api.schemas.paging import ListPage, WholeListQuery, cut
from shared.errors import ConflictError, InvalidRequestError
from shared.limits.keys import NewKey, create_key, list_keys, revoke_key

router = APIRouter(prefix="/keys")


@router.post("")
async def create(body: CreateKeyRequest, services: WithServices, caller: WithAdmin) -> IssuedKeyObject:
    """A key of the caller's tenant. Its plaintext is in this answer and nowhere else."""
    if body.expires_at is not None and body.expires_at <= services.clock():
        raise InvalidRequestError("Invalid 'expires_at': this is in the past.", param="expires_at")
    new = NewKey(
        tenant_id=caller.tenant_id,
        name=body.name,
        role=body.role,
        models=None if body.models is None else tuple(body.models),
        requests_per_minute=body.requests_per_minute,
        tokens_per_minute=body.tokens_per_minute,
        expires_at=body.expires_at,
    )
    async with services.database.tenant(caller.tenant_id) as connection:
        return issued_key_object(await create_key(connection, new))


@router.get("")
async def list_(
    services: WithServices, caller: WithAdmin, query: Annotated[WholeListQuery, Query()]
) -> ListPage[KeyObject]:
    """The tenant's keys, newest first, with those that are revoked."""
    async with services.database.tenant(caller.tenant_id) as connection:
        records = await list_keys(connection)
    return cut([key_object(record) for record in records], query)


@router.delete("/{key_id}")
async def revoke(key_id: KeyPath, services: WithServices, caller: WithAdmin) -> KeyRevoked:
    """Revoke a key; within seconds nothing accepts it any more."""
    if key_id == caller.key_id:
        raise ConflictError("A key does not revoke itself, so that one admin remains; use another.")
    async with services.database.tenant(caller.tenant_id) as connection:
        hashed = await revoke_key(connection, key_id, services.clock())
    await services.keyring.forget(hashed)
    return KeyRevoked(id=key_id)
