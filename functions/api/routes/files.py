"""/v1/files."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from api.caller import WithCaller, WithServices
from api.schemas.fields import FilePath
from api.schemas.files import (
    DEFAULT_MEDIA_TYPE,
    FileDeleted,
    FileObject,
    UploadForm,
    UploadRequest,
    UploadTarget,
    file_object,
    unix,
)
from api.schemas.paging import FileListQuery, ListPage, shown
from api.services import Services
from api.uploads import Upload, read_request
from shared.errors import ConflictError, TooLargeError
from shared.files.models import NewFile, StoredFile
from shared.files.records import create_file, get_file, list_files, mark_uploaded
from shared.files.records import delete_file as delete_record
from shared.knowledge.deletion import delete_file
from shared.limits.caller import Caller

router = APIRouter()


@router.post("/files")
async def create(request: Request, services: WithServices, caller: WithCaller) -> FileObject:
    """A file from the form it comes in, or a pending one with the URL to send it to."""
    sent = await read_request(request, services.limits.upload_limit_bytes)
    if isinstance(sent, UploadRequest):
        return await _announce(services, caller, sent)
    try:
        return await _store(services, caller, sent)
    finally:
        await sent.form.close()


@router.get("/files")
async def list_(
    services: WithServices, caller: WithCaller, query: Annotated[FileListQuery, Query()]
) -> ListPage[FileObject]:
    """The tenant's files."""
    async with services.database.tenant(caller.tenant_id) as connection:
        page = await list_files(connection, query.page_request, purpose=query.purpose)
    return shown(page, file_object)


@router.get("/files/{file_id}")
async def retrieve(file_id: FilePath, services: WithServices, caller: WithCaller) -> FileObject:
    """One file."""
    return file_object(await _get(services, caller, file_id))


@router.delete("/files/{file_id}")
async def delete(file_id: FilePath, services: WithServices, caller: WithCaller) -> FileDeleted:
    """Delete a file, and with it every trace in vector stores and in the bucket."""
    await delete_file(services.database, services.objects, tenant_id=caller.tenant_id, file_id=file_id)
    return FileDeleted(id=file_id)


@router.get("/files/{file_id}/content", response_class=Response)
async def content(file_id: FilePath, services: WithServices, caller: WithCaller) -> Response:
    """The file's bytes; those of a large one by redirect to a URL that needs no key."""
    file = await _get(services, caller, file_id)
    if file.status == "pending":
        raise ConflictError(f"The bytes of {file_id!r} have not arrived yet.", param="file_id")
    if file.bytes > services.limits.download_limit_bytes:
        url = await services.objects.presign_get(file.object_key, services.limits.presigned_seconds)
        return RedirectResponse(url, headers={"cache-control": "no-store"})
    return Response(
        await services.objects.get(file.object_key),
        headers={
            # As it was sent: nobody knows whether a text is UTF-8.
            "content-type": file.media_type or DEFAULT_MEDIA_TYPE,
            # Whatever it is, a browser is to keep it and not to run it.
            "content-disposition": "attachment",
            "x-content-type-options": "nosniff",
        },
    )


async def _get(services: Services, caller: Caller, file_id: str) -> StoredFile:
    async with services.database.tenant(caller.tenant_id) as connection:
        return await get_file(connection, file_id)


async def _store(services: Services, caller: Caller, upload: Upload) -> FileObject:
    size = upload.file.size or 0
    new = _new_file(services, caller, upload.filename, upload.fields, upload.media_type, size)
    async with services.database.tenant(caller.tenant_id) as connection:
        file = await create_file(connection, new, services.clock())
    try:
        await services.objects.put(file.object_key, upload.file.file, upload.media_type)
    except Exception:
        async with services.database.tenant(caller.tenant_id) as connection:
            await delete_record(connection, file.file_id)
        raise
    async with services.database.tenant(caller.tenant_id) as connection:
        return file_object(await mark_uploaded(connection, file.file_id, size) or file)


async def _announce(services: Services, caller: Caller, wanted: UploadRequest) -> FileObject:
    limits = services.limits
    if wanted.bytes > limits.file_limit_bytes:
        raise TooLargeError(f"A file may have up to {limits.file_limit_bytes:,} bytes.", param="bytes")
    new = _new_file(services, caller, wanted.filename, wanted, wanted.media_type, wanted.bytes)
    async with services.database.tenant(caller.tenant_id) as connection:
        file = await create_file(connection, new, services.clock())
    url = await services.objects.presign_put(
        file.object_key, wanted.media_type, limits.presigned_seconds, size=wanted.bytes
    )
    expires_at = file.created_at + timedelta(seconds=limits.presigned_seconds)
    target = UploadTarget(url=url, headers={"content-type": wanted.media_type}, expires_at=unix(expires_at))
    return file_object(file, upload=target)


def _new_file(
    services: Services,
    caller: Caller,
    filename: str,
    fields: UploadForm | UploadRequest,
    media_type: str,
    size: int,
) -> NewFile:
    expiry = fields.expires_after
    return NewFile(
        tenant_id=caller.tenant_id,
        filename=filename,
        purpose=fields.purpose,
        media_type=media_type,
        bytes=size,
        expires_at=None if expiry is None else services.clock() + timedelta(seconds=expiry.seconds),
    )
