"""/v1/batches."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.caller import WithCaller, WithServices
from api.schemas.batches import BatchListQuery, BatchObject, CreateBatchRequest, batch_object
from api.schemas.fields import BatchIdPath
from api.schemas.paging import ListPage, shown
from api.services import Services
from shared.batch.messages import AdvanceBatch
from shared.batch.models import Batch, NewBatch
from shared.batch.records import cancel_batch, create_batch, delete_batch, get_batch, list_batches
from shared.errors import ConflictError, InvalidRequestError, NotFoundError
from shared.files.models import StoredFile
from shared.files.records import get_file, mark_uploaded
from shared.postgres.database import Connection

router = APIRouter(prefix="/batches")


@router.post("")
async def create(body: CreateBatchRequest, services: WithServices, caller: WithCaller) -> BatchObject:
    """Have a file's requests answered within 24 hours."""
    expiry = body.output_expires_after
    new = NewBatch(
        tenant_id=caller.tenant_id,
        key_id=caller.key_id,
        endpoint=body.endpoint,
        input_file_id=body.input_file_id,
        metadata=body.metadata,
        output_expires_after=None if expiry is None else expiry.seconds,
    )
    async with services.database.tenant(caller.tenant_id) as connection:
        await _check(services, connection, await get_file(connection, body.input_file_id))
        batch = await create_batch(connection, new, services.clock())
    try:
        await _advance(services, batch)
    except Exception:
        # The caller will ask again, and wants one batch then.
        async with services.database.tenant(caller.tenant_id) as connection:
            await delete_batch(connection, batch.batch_id)
        raise
    return batch_object(batch)


@router.get("")
async def list_(
    services: WithServices, caller: WithCaller, query: Annotated[BatchListQuery, Query()]
) -> ListPage[BatchObject]:
    """The tenant's batches, newest first."""
    async with services.database.tenant(caller.tenant_id) as connection:
        page = await list_batches(connection, query.page_request)
    return shown(page, batch_object)


@router.get("/{batch_id}")
async def retrieve(batch_id: BatchIdPath, services: WithServices, caller: WithCaller) -> BatchObject:
    """How far a batch is."""
    async with services.database.tenant(caller.tenant_id) as connection:
        return batch_object(await get_batch(connection, batch_id))


@router.post("/{batch_id}/cancel")
async def cancel(batch_id: BatchIdPath, services: WithServices, caller: WithCaller) -> BatchObject:
    """Ask no further request; what is answered is kept."""
    async with services.database.tenant(caller.tenant_id) as connection:
        batch = await cancel_batch(connection, batch_id, services.clock())
    await _advance(services, batch)
    return batch_object(batch)


async def _check(services: Services, connection: Connection, file: StoredFile) -> None:
    if file.purpose != "batch":
        raise InvalidRequestError(
            f"The file {file.file_id!r} was uploaded for {file.purpose!r}; upload it as 'batch'.",
            param="input_file_id",
        )
    if file.status == "pending":
        # It may be in storage already, and word of that still on its way.
        try:
            stored = await services.objects.info(file.object_key)
        except NotFoundError:
            raise ConflictError(
                f"The bytes of {file.file_id!r} have not arrived yet; upload them first.",
                param="input_file_id",
            ) from None
        await mark_uploaded(connection, file.file_id, stored.size)


async def _advance(services: Services, batch: Batch) -> None:
    await services.batches.send([AdvanceBatch(tenant_id=batch.tenant_id, batch_id=batch.batch_id)])
