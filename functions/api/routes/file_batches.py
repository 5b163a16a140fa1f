"""/v1/vector_stores/{vector_store_id}/file_batches."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.attaching import attach_all, check_count, start_ingestion
from api.caller import WithCaller, WithServices
from api.schemas.fields import BatchPath, VectorStorePath
from api.schemas.paging import ListPage, StoreFileListQuery, shown
from api.schemas.store_files import (
    BatchRequest,
    FileBatchObject,
    StoreFileObject,
    batch_object,
    store_file_object,
)
from shared.knowledge.file_batches import cancel_batch, create_batch, get_batch
from shared.knowledge.store_files import list_store_files

router = APIRouter(prefix="/vector_stores/{vector_store_id}/file_batches")

# Milliseconds after which OpenAI's SDK asks again while files are in progress.
_POLL_AFTER_MS = 500


@router.post("")
async def create(
    vector_store_id: VectorStorePath, body: BatchRequest, services: WithServices, caller: WithCaller
) -> FileBatchObject:
    """Put several files into a store, to be waited for as one."""
    check_count(body.attachments, services, "files" if body.files else "file_ids")
    async with services.database.tenant(caller.tenant_id) as connection:
        files = await attach_all(connection, caller, vector_store_id, body.attachments)
        batch = await create_batch(connection, files, services.clock())
    await start_ingestion(services, caller, files)
    return batch_object(batch)


@router.get("/{batch_id}")
async def retrieve(
    vector_store_id: VectorStorePath,
    batch_id: BatchPath,
    response: Response,
    services: WithServices,
    caller: WithCaller,
) -> FileBatchObject:
    """How far the files of a batch are."""
    async with services.database.tenant(caller.tenant_id) as connection:
        batch = await get_batch(connection, vector_store_id, batch_id)
    response.headers["openai-poll-after-ms"] = str(_POLL_AFTER_MS)
    return batch_object(batch)


@router.post("/{batch_id}/cancel")
async def cancel(
    vector_store_id: VectorStorePath, batch_id: BatchPath, services: WithServices, caller: WithCaller
) -> FileBatchObject:
    """Cancel those files of a batch that are not ingested yet."""
    async with services.database.tenant(caller.tenant_id) as connection:
        return batch_object(await cancel_batch(connection, vector_store_id, batch_id))


@router.get("/{batch_id}/files")
async def list_files(
    vector_store_id: VectorStorePath,
    batch_id: BatchPath,
    services: WithServices,
    caller: WithCaller,
    query: Annotated[StoreFileListQuery, Query()],
) -> ListPage[StoreFileObject]:
    """The files of a batch, all or those in one status."""
    async with services.database.tenant(caller.tenant_id) as connection:
        await get_batch(connection, vector_store_id, batch_id)
        page = await list_store_files(
            connection, vector_store_id, query.page_request, status=query.filter, batch_id=batch_id
        )
    return shown(page, store_file_object)
