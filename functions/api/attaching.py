"""Attaching files to a store, and telling ingestion of those that are there."""

from collections.abc import Iterable, Sequence

from api.schemas.store_files import AttachRequest
from api.schemas.vector_stores import chunk_tokens_of
from api.services import Services
from shared.errors import InvalidRequestError
from shared.knowledge.messages import IngestFile
from shared.knowledge.store_files import attach_file
from shared.knowledge.store_models import StoreFile
from shared.knowledge.stores import note_use
from shared.limits.caller import Caller
from shared.postgres.database import Connection


def check_count(wanted: Sequence[object], services: Services, param: str) -> None:
    """Refuse more files than one request may attach.

    Raises:
        InvalidRequestError: Too many.
    """
    limit = services.limits.attach_limit
    if len(wanted) > limit:
        raise InvalidRequestError(f"Send at most {limit} files at a time, not {len(wanted)}.", param=param)


async def attach_all(
    connection: Connection, caller: Caller, vector_store_id: str, wanted: Iterable[AttachRequest]
) -> list[StoreFile]:
    """Attach every file, in the order of their ids, so that two requests cannot wait for each other.

    Raises:
        NotFoundError: The tenant has no such store, or not one of the files.
    """
    return [
        await attach_file(
            connection,
            tenant_id=caller.tenant_id,
            vector_store_id=vector_store_id,
            file_id=file.file_id,
            attributes=file.attributes,
            chunk_tokens=chunk_tokens_of(file.chunking_strategy),
        )
        for file in sorted(wanted, key=lambda file: file.file_id)
    ]


async def start_ingestion(services: Services, caller: Caller, files: Sequence[StoreFile]) -> None:
    """After the commit, tell ingestion of files whose bytes are there; the upload of the others will.

    The use of their store is noted here and not beside the attaching, whose locks an ingestion may wait for.
    """
    if not files:
        return
    await services.ingestion.send(
        [
            IngestFile(tenant_id=caller.tenant_id, vector_store_id=file.vector_store_id, file_id=file.file_id)
            for file in files
            if file.ready_to_ingest
        ]
    )
    async with services.database.tenant(caller.tenant_id) as connection:
        for vector_store_id in {file.vector_store_id for file in files}:
            await note_use(connection, vector_store_id, services.clock())
