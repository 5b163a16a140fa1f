"""/v1/keys, for admins."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from api.caller import WithAdmin, WithServices
from api.schemas.fields import KeyPath
from api.schemas.keys import (
    CreateKeyRequest,
    IssuedKeyObject,
    KeyObject,
    KeyRevoked,
    RotateKeyRequest,
    UpdateKeyRequest,
    issued_key_object,
    key_object,
)
from api.schemas.paging import ListPage, WholeListQuery, cut
from shared.errors import ConflictError, InvalidRequestError
from shared.limits.keys import (
    NewKey,
    create_key,
    get_key,
    hashes_of,
    list_keys,
    revoke_key,
    rotate_key,
    update_key,
)

router = APIRouter(prefix="/keys")


@router.post("")
async def create(body: CreateKeyRequest, services: WithServices, caller: WithAdmin) -> IssuedKeyObject:
    """A key of the caller's tenant. Its plaintext is in this answer and nowhere else."""
    _check_future(body.expires_at, services.clock())
    new = NewKey.of(body.settings, tenant_id=caller.tenant_id, role=body.role)
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


@router.get("/{key_id}")
async def retrieve(key_id: KeyPath, services: WithServices, caller: WithAdmin) -> KeyObject:
    """One key."""
    async with services.database.tenant(caller.tenant_id) as connection:
        return key_object(await get_key(connection, key_id))


@router.post("/{key_id}")
async def update(
    key_id: KeyPath, body: UpdateKeyRequest, services: WithServices, caller: WithAdmin
) -> KeyObject:
    """Change a key; within seconds the change is in force everywhere."""
    _check_future(body.expires_at, services.clock())
    async with services.database.tenant(caller.tenant_id) as connection:
        before = await get_key(connection, key_id)
        changed = await update_key(connection, key_id, body.changed(before.settings))
        hashes = await hashes_of(connection, key_id)
    await services.keyring.forget(*hashes)
    return key_object(changed)


@router.post("/{key_id}/rotate")
async def rotate(
    key_id: KeyPath,
    services: WithServices,
    caller: WithAdmin,
    body: RotateKeyRequest | None = None,
) -> IssuedKeyObject:
    """Give a key a new secret, which is in this answer and nowhere else. Its id and its limits stay."""
    overlap = timedelta(seconds=body.overlap_seconds if body else 0)
    async with services.database.tenant(caller.tenant_id) as connection:
        hashes = await hashes_of(connection, key_id)
        issued = await rotate_key(connection, key_id, services.clock(), overlap)
    await services.keyring.forget(*hashes)
    return issued_key_object(issued)


@router.delete("/{key_id}")
async def revoke(key_id: KeyPath, services: WithServices, caller: WithAdmin) -> KeyRevoked:
    """Revoke a key; within seconds nothing accepts it any more."""
    if key_id == caller.key_id:
        raise ConflictError("A key does not revoke itself, so that one admin remains; use another.")
    async with services.database.tenant(caller.tenant_id) as connection:
        await revoke_key(connection, key_id, services.clock())
        hashes = await hashes_of(connection, key_id)
    await services.keyring.forget(*hashes)
    return KeyRevoked(id=key_id)


def _check_future(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and expires_at <= now:
        raise InvalidRequestError("Invalid 'expires_at': this is in the past.", param="expires_at")
