"""Documents as files: kept, found unchanged, and taken away when their page is gone."""

from dataclasses import dataclass
from datetime import datetime

from scraping.document import Document
from shared.aws.objects import Objects
from shared.errors import NotFoundError
from shared.files.models import NewFile
from shared.files.records import create_file
from shared.knowledge.deletion import delete_file
from shared.knowledge.store_files import attach_file
from shared.postgres.database import Connection, Database
from shared.web.known_pages import KnownPage, forget, recall
from shared.web.scrape_models import Change, PageClaim


@dataclass(frozen=True)
class Kept:
    """The file of a page, and what is new about it."""

    file_id: str
    change: Change


async def recall_kept(connection: Connection, claim: PageClaim) -> KnownPage | None:
    """What is known of a page, if its file is already where the scrape wants it."""
    known = await recall(connection, claim.url)
    if known is None or claim.vector_store_id is None:
        return known
    cursor = await connection.execute(
        """
        SELECT 1 FROM vector_store_files
        WHERE vector_store_id = %s AND file_id = %s AND status IN ('in_progress', 'completed')
        """,
        (claim.vector_store_id, known.file_id),
    )
    return known if await cursor.fetchone() is not None else None


async def store(
    database: Database,
    objects: Objects,
    claim: PageClaim,
    document: Document,
    known: KnownPage | None,
    now: datetime,
) -> Kept:
    """Write the records, then the object, whose event starts ingestion. Repeating it changes nothing.

    A tenant has one file per URL: scraped again, its object is overwritten and its record stays. What has not
    changed is left alone, and so costs no embedding.

    Raises:
        NotFoundError: The vector store is gone.
    """
    if known is not None and (known.final_url, known.content_sha256) == (document.url, document.sha256):
        return Kept(known.file_id, "unchanged")
    async with database.tenant(claim.tenant_id) as connection:
        file = await create_file(
            connection,
            NewFile(
                tenant_id=claim.tenant_id,
                filename=document.filename,
                purpose="assistants",
                media_type=document.media_type,
                bytes=len(document.body),
                source_url=document.url,
            ),
            now,
        )
        if claim.vector_store_id is not None:
            await attach_file(
                connection,
                tenant_id=claim.tenant_id,
                vector_store_id=claim.vector_store_id,
                file_id=file.file_id,
                attributes=document.attributes,
            )
    await objects.put(file.object_key, document.body, document.media_type)
    return Kept(file.file_id, "new" if known is None else "changed")


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
