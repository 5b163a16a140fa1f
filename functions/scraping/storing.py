"""Documents as files: kept, found unchanged, and taken away when their page is gone."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from scraping.document import Document
from shared.aws.objects import Objects
from shared.errors import NotFoundError
from shared.files.models import NewFile, StoredFile
from shared.files.records import create_files
from shared.knowledge.deletion import delete_file
from shared.knowledge.store_files import attach_file
from shared.postgres.database import Connection, Database
from shared.web.known_pages import KnownPage, forget, recall
from shared.web.scrape_models import PageClaim


async def recall_kept(connection: Connection, claims: Sequence[PageClaim]) -> dict[str, KnownPage]:
    """What is known of pages of one scrape, by URL, and whether their files are where it wants them."""
    if not claims:
        return {}
    known = await recall(connection, [claim.url for claim in claims])
    if not known or claims[0].vector_store_id is None:
        return known
    cursor = await connection.execute(
        """
        SELECT file_id FROM vector_store_files
        WHERE vector_store_id = %s AND file_id = ANY (%s) AND status IN ('in_progress', 'completed')
        """,
        (claims[0].vector_store_id, [page.file_id for page in known.values()]),
    )
    there = {row["file_id"] for row in await cursor.fetchall()}
    return {url: replace(page, there=page.file_id in there) for url, page in known.items()}


async def record_files(
    connection: Connection, found: Sequence[tuple[PageClaim, Document]], now: datetime
) -> list[StoredFile]:
    """The files of documents, in the vector store of their scrape. Put the objects afterwards.

    A tenant has one file per URL: scraped again, its object is overwritten and its record stays.

    Raises:
        NotFoundError: The vector store is gone.
    """
    files = await create_files(connection, [_file(claim, document) for claim, document in found], now)
    attachments = [
        (file.file_id, claim, document) for file, (claim, document) in zip(files, found, strict=True)
    ]
    # In one order everywhere, so that no two of these wait for each other.
    for file_id, claim, document in sorted(attachments, key=lambda attachment: attachment[0]):
        if claim.vector_store_id is not None:
            await attach_file(
                connection,
                tenant_id=claim.tenant_id,
                vector_store_id=claim.vector_store_id,
                file_id=file_id,
                attributes=document.attributes,
            )
    return files


def _file(claim: PageClaim, document: Document) -> NewFile:
    return NewFile(
        tenant_id=claim.tenant_id,
        filename=document.filename,
        purpose="assistants",
        media_type=document.media_type,
        bytes=len(document.body),
        source_url=document.url,
    )


async def take_away(database: Database, objects: Objects, claim: PageClaim) -> bool:
    """Delete the file of a page that is gone, from every store and the bucket. Whether there was one."""
    async with database.tenant(claim.tenant_id) as connection:
        file_id = await forget(connection, claim.url)
    if file_id is None:
        return False
    try:
        await delete_file(database, objects, tenant_id=claim.tenant_id, file_id=file_id)
    except NotFoundError:
        return False
    return True
