"""Keeps a document as a file and hands it to ingestion."""

from datetime import datetime

from scraping.document import Document
from shared.aws.objects import Objects
from shared.files.models import NewFile, StoredFile
from shared.files.records import create_file
from shared.knowledge.store_files import attach_file
from shared.postgres.database import Database
from shared.web.scrape_models import PageClaim


async def store(
    database: Database, objects: Objects, claim: PageClaim, document: Document, now: datetime
) -> StoredFile:
    """Write the records, then the object, whose event starts ingestion. Repeating it changes nothing.

    A tenant has one file per URL: scraped again, its object is overwritten and its record stays.

    Raises:
        NotFoundError: The vector store is gone.
    """
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
    return file
