"""The end of one part of a file; with the last one, the file is searchable.

Every function runs in a transaction of the tenant; where the store is locked, it is locked first.
"""

from datetime import datetime

from shared.knowledge.index import Written, publish_version
from shared.knowledge.job_end import complete, fail
from shared.knowledge.jobs import Failure, LeaseLostError, staged, update
from shared.knowledge.messages import IngestPart
from shared.knowledge.parts import VERSION, PartClaim, WrittenPart, update_held
from shared.postgres.database import Connection


async def complete_part(connection: Connection, held: PartClaim, part: WrittenPart, now: datetime) -> bool:
    """A part is written. Belongs into the transaction that wrote its chunks; true if it was the last.

    Raises:
        LeaseLostError: Roll back what was written.
    """
    values = {
        "chunks": part.written.chunk_count,
        "bytes": part.written.usage_bytes,
        "characters": part.characters,
        "unread": list(part.unread_pages),
        "now": now,
    }
    if not await update_held(connection, held, _COMPLETED, values):
        raise LeaseLostError
    # Work is being done: whatever tries the job took before count no more.
    if not await update(connection, staged(held.job), "attempts = 0, updated_at = now()", {}):
        raise LeaseLostError
    cursor = await connection.execute(_LEFT, held.job.model_dump())
    row = await cursor.fetchone()
    return row is not None and row["left"] == 0


async def publish(connection: Connection, held: PartClaim, now: datetime) -> int:
    """Make the version the live one, and complete the job; the number of its chunks.

    Without any chunk the job is failed instead.

    Raises:
        LeaseLostError: The job changed meanwhile.
    """
    job = staged(held.job)
    total, unread_pages = await _total(connection, held.job)
    if total.chunk_count == 0:
        failure = Failure(
            code="invalid_file",
            message="The file contains no text.",
            content_sha256=held.content_sha256,
        )
        await fail(connection, job, failure)
        return 0
    await connection.execute(_OFFSETS, held.job.model_dump())
    await complete(connection, job, total, held.content_sha256, now, unread_pages)
    await publish_version(connection, held.place)
    return total.chunk_count


_COMPLETED = """
    status = 'completed', lease_id = NULL, lease_until = NULL, error_message = NULL, chunk_count = %(chunks)s,
    usage_bytes = %(bytes)s, characters = %(characters)s, unread_pages = %(unread)s, updated_at = %(now)s"""

_LEFT = f"SELECT count(*) AS left FROM ingestion_parts p WHERE {VERSION} AND p.status = 'queued'"  # noqa: S608

_TOTAL = f"""
    SELECT coalesce(sum(p.chunk_count), 0)::integer AS chunks,
           coalesce(sum(p.usage_bytes), 0)::bigint AS bytes,
           ARRAY(SELECT page FROM ingestion_parts p CROSS JOIN unnest(p.unread_pages) AS page
                 WHERE {VERSION} ORDER BY page) AS unread_pages
    FROM ingestion_parts p WHERE {VERSION}"""  # noqa: S608

# Two line breaks stand between the texts of two parts; a part without text is not there.
_OFFSETS = f"""
    UPDATE ingestion_parts p SET char_offset = before.characters
    FROM (
        SELECT p.part, coalesce(sum(p.characters + CASE WHEN p.characters > 0 THEN 2 ELSE 0 END) OVER (
            ORDER BY p.part ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS characters
        FROM ingestion_parts p WHERE {VERSION}
    ) before
    WHERE {VERSION} AND p.part = before.part"""  # noqa: S608


async def _total(connection: Connection, job: IngestPart) -> tuple[Written, list[int]]:
    """What the parts take together, and the pages of them that nobody could read."""
    cursor = await connection.execute(_TOTAL, job.model_dump())
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - a sum has a row
    return Written(row["chunks"], row["bytes"]), row["unread_pages"]
