"""/v1/vector_stores/{vector_store_id}/files."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.attaching import attach_all, start_ingestion
from api.caller import WithCaller, WithServices
from api.schemas.fields import FilePath, VectorStorePath
from api.schemas.paging import ListPage, StoreFileListQuery, shown
from api.schemas.store_files import (
    AttachRequest,
    ContentPage,
    StoreFileDeleted,
    StoreFileObject,
    TextPart,
    UpdateStoreFileRequest,
    store_file_object,
)
from shared.errors import ConflictError
from shared.knowledge.store_files import detach_file, get_store_file, list_store_files, set_attributes
from shared.knowledge.stores import get_store
from shared.knowledge.texts import find_text

router = APIRouter(prefix="/vector_stores/{vector_store_id}/files")

# Milliseconds after which OpenAI's SDK asks again while a file is in progress.
_POLL_AFTER_MS = 500


@router.post("")
async def attach(
    vector_store_id: VectorStorePath, body: AttachRequest, services: WithServices, caller: WithCaller
) -> StoreFileObject:
    """Put a file into a store; again, to give a failed one another try."""
    async with services.database.tenant(caller.tenant_id) as connection:
        files = await attach_all(connection, caller, vector_store_id, [body])
    await start_ingestion(services, caller, files)
    return store_file_object(files[0])


@router.get("")
async def list_(
    vector_store_id: VectorStorePath,
    services: WithServices,
    caller: WithCaller,
    query: Annotated[StoreFileListQuery, Query()],
) -> ListPage[StoreFileObject]:
    """The files of a store, all or those in one status."""
    async with services.database.tenant(caller.tenant_id) as connection:
        await get_store(connection, vector_store_id)
        page = await list_store_files(connection, vector_store_id, query.page_request, status=query.filter)
    return shown(page, store_file_object)


@router.get("/{file_id}")
async def retrieve(
    vector_store_id: VectorStorePath,
    file_id: FilePath,
    response: Response,
    services: WithServices,
    caller: WithCaller,
) -> StoreFileObject:
    """One file of a store: how far its ingestion is."""
    async with services.database.tenant(caller.tenant_id) as connection:
        file = await get_store_file(connection, vector_store_id, file_id)
    response.headers["openai-poll-after-ms"] = str(_POLL_AFTER_MS)
    return store_file_object(file)


@router.post("/{file_id}")
async def update(
    vector_store_id: VectorStorePath,
    file_id: FilePath,
    body: UpdateStoreFileRequest,
    services: WithServices,
    caller: WithCaller,
) -> StoreFileObject:
    """Replace a file's attributes."""
    async with services.database.tenant(caller.tenant_id) as connection:
        return store_file_object(
            await set_attributes(connection, vector_store_id, file_id, body.attributes or {})
        )


@router.delete("/{file_id}")
async def detach(
    vector_store_id: VectorStorePath, file_id: FilePath, services: WithServices, caller: WithCaller
) -> StoreFileDeleted:
    """Take a file out of a store; the file itself stays."""
    async with services.database.tenant(caller.tenant_id) as connection:
        await detach_file(
            connection, tenant_id=caller.tenant_id, vector_store_id=vector_store_id, file_id=file_id
        )
    return StoreFileDeleted(id=file_id)


@router.get("/{file_id}/content")
async def content(
    vector_store_id: VectorStorePath,
    file_id: FilePath,
    services: WithServices,
    caller: WithCaller,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
) -> ContentPage:
    """The clean text that was made of a file, which the character ranges of citations count in."""
    async with services.database.tenant(caller.tenant_id) as connection:
        file = await get_store_file(connection, vector_store_id, file_id)
        found = await find_text(
            connection, tenant_id=caller.tenant_id, vector_store_id=vector_store_id, file_id=file_id
        )
    if file.status != "completed":
        raise ConflictError(f"The text of {file_id!r} is not there: its status is {file.status!r}.")
    size = services.limits.text_page_chars
    text, more = await found.read(services.objects, (page - 1) * size, size)
    return ContentPage(
        data=[TextPart(text=text)],
        has_more=more,
        next_page=str(page + 1) if more else None,
    )
