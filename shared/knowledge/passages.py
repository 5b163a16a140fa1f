"""Chunks as passages: their text, and where it stands in the file."""

from collections.abc import Sequence

from shared.knowledge.passage import Passage
from shared.knowledge.ranking import ChunkKey, Ranked
from shared.knowledge.signals import columns
from shared.postgres.database import Connection

# Characters of a chunk count in its part; what stands before the part is added.
_SELECT = """
    SELECT c.vector_store_id, c.file_id, c.ordinal, c.version, files.filename, files.source_url, f.attributes,
           c.text, c.headings, c.page_first, c.page_last, c.row_first, c.row_last,
           c.char_start + coalesce(p.char_offset, 0) AS char_start,
           c.char_end + coalesce(p.char_offset, 0) AS char_end
    FROM unnest(%(stores)s::text[], %(files)s::text[], %(ordinals)s::integer[], %(versions)s::integer[])
        AS k (vector_store_id, file_id, ordinal, version)
    JOIN chunks c ON c.tenant_id = %(tenant_id)s AND c.vector_store_id = k.vector_store_id
        AND c.file_id = k.file_id AND c.version = k.version AND c.ordinal = k.ordinal
        AND c.vector_store_id = ANY(%(within)s)
    JOIN vector_store_files f ON f.tenant_id = c.tenant_id AND f.vector_store_id = c.vector_store_id
        AND f.file_id = c.file_id AND f.staged_version IS DISTINCT FROM c.version
    JOIN files ON files.tenant_id = c.tenant_id AND files.file_id = c.file_id
    LEFT JOIN ingestion_parts p ON p.tenant_id = c.tenant_id AND p.vector_store_id = c.vector_store_id
        AND p.file_id = c.file_id AND p.version = c.version AND p.part = c.ordinal / 65536"""


async def read_passages(connection: Connection, tenant_id: str, chunks: Sequence[Ranked]) -> list[Passage]:
    """Those of the chunks that are still there, in their order and with their scores."""
    cursor = await connection.execute(
        _SELECT, {"tenant_id": tenant_id, **columns([chunk.key for chunk in chunks])}
    )
    rows = {
        ChunkKey(r["vector_store_id"], r["file_id"], r.pop("ordinal"), r.pop("version")): r
        for r in await cursor.fetchall()
    }
    return [
        Passage(**rows[chunk.key] | {"headings": tuple(rows[chunk.key]["headings"]), "score": chunk.score})
        for chunk in chunks
        if chunk.key in rows
    ]
