"""Writes and removes what search reads of a file: chunks, vectors, and the store's BM25 statistics.

Both functions run in the caller's transaction, and lock the store's row first: writers of one store follow
each other, statistics stay exact, and no two of them can wait for each other. Whoever changes several stores
in one transaction takes them in the order of their ids.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from pgvector import HalfVector
from psycopg import sql

from shared.errors import UpstreamError
from shared.knowledge.chunk import Chunk
from shared.knowledge.stores import no_such_store
from shared.knowledge.terms import document_terms
from shared.postgres.database import Connection

# Vector sizes that the schema has a table for.
DIMENSIONS = frozenset({256, 384, 512, 768, 1024, 1536, 2048, 3072})

# What a tsvector can hold of one term: places up to 16,383, and 256 of them.
_LAST_PLACE = 16_383
_MOST_PLACES = 256

_BYTES_PER_NUMBER = 2


class EmbeddingMismatchError(UpstreamError):
    """The vectors do not fit the store: wrong number, or wrong size."""

    code = "embedding_mismatch"


@dataclass(frozen=True)
class Written:
    """What a file takes in its store: chunks, and bytes of their text and vectors."""

    chunk_count: int
    usage_bytes: int


def embeddings_table(dimensions: int) -> sql.Identifier:
    """The table of vectors of this size.

    Raises:
        EmbeddingMismatchError: The schema has none.
    """
    if dimensions not in DIMENSIONS:
        raise EmbeddingMismatchError(f"Vectors of {dimensions} numbers are not supported.")
    return sql.Identifier(f"chunk_embeddings_{dimensions}")


async def replace_chunks(
    connection: Connection,
    *,
    tenant_id: str,
    vector_store_id: str,
    file_id: str,
    chunks: Sequence[Chunk],
    embeddings: Sequence[Sequence[float]],
) -> Written:
    """Make these the chunks of a file that is in the store, instead of any it had. Harmless when repeated.

    Args:
        embeddings: One vector per chunk, of the store's size.

    Raises:
        NotFoundError: The tenant has no such store.
        EmbeddingMismatchError: The vectors do not fit.
    """
    key = (tenant_id, vector_store_id, file_id)
    rows = await asyncio.to_thread(_rows, key, chunks)
    dimensions = await _lock_store(connection, tenant_id, vector_store_id)
    if dimensions is None:
        raise no_such_store(vector_store_id)
    if len(embeddings) != len(chunks) or any(len(vector) != dimensions for vector in embeddings):
        raise EmbeddingMismatchError(f"The store needs {len(chunks)} vectors of {dimensions} numbers.")
    await _remove(connection, key)
    await connection.cursor().executemany(_INSERT_CHUNK, rows)
    await _insert_embeddings(connection, key, embeddings, dimensions)
    await _count(connection, key, sign=1)
    text_bytes = sum(len(chunk.text.encode()) for chunk in chunks)
    return Written(len(chunks), text_bytes + len(chunks) * dimensions * _BYTES_PER_NUMBER)


async def remove_file(connection: Connection, *, tenant_id: str, vector_store_id: str, file_id: str) -> None:
    """Remove a file's chunks and vectors from a store, and its part of the statistics, if it has any."""
    if await _lock_store(connection, tenant_id, vector_store_id) is not None:
        await _remove(connection, (tenant_id, vector_store_id, file_id))


async def _lock_store(connection: Connection, tenant_id: str, vector_store_id: str) -> int | None:
    """The size of the store's vectors. Files can be attached meanwhile, which FOR UPDATE would not allow."""
    cursor = await connection.execute(
        """
        SELECT dimensions FROM vector_stores
        WHERE tenant_id = %s AND vector_store_id = %s
        FOR NO KEY UPDATE
        """,
        (tenant_id, vector_store_id),
    )
    row = await cursor.fetchone()
    return None if row is None else int(row["dimensions"])


_Key = tuple[str, str, str]


async def _remove(connection: Connection, key: _Key) -> None:
    await _count(connection, key, sign=-1)
    # The vectors go with them, by the foreign key.
    await connection.execute(
        "DELETE FROM chunks WHERE tenant_id = %s AND vector_store_id = %s AND file_id = %s", key
    )


async def _count(connection: Connection, key: _Key, *, sign: int) -> None:
    """Add the file's chunks as they stand to the statistics of the store, or take them out."""
    parameters = _named(key) | {"sign": sign}
    await connection.execute(_COUNT_STORE, parameters)
    await connection.execute(_COUNT_TERMS if sign > 0 else _UNCOUNT_TERMS, parameters)


_OF_FILE = """
    c.tenant_id = %(tenant_id)s AND c.vector_store_id = %(vector_store_id)s AND c.file_id = %(file_id)s"""

_COUNT_STORE = f"""
    UPDATE vector_stores s
    SET chunk_count = s.chunk_count + %(sign)s * counted.chunks,
        term_total = s.term_total + %(sign)s * counted.terms
    FROM (
        SELECT count(*) AS chunks, coalesce(sum(c.term_count), 0)::bigint AS terms
        FROM chunks c WHERE {_OF_FILE}
    ) counted
    WHERE s.tenant_id = %(tenant_id)s AND s.vector_store_id = %(vector_store_id)s AND counted.chunks > 0"""  # noqa: S608

_TERMS = f"""
    SELECT t.lexeme AS term, count(*) AS chunks
    FROM chunks c CROSS JOIN LATERAL unnest(c.terms) t
    WHERE {_OF_FILE} AND t.lexeme <> %(vector_store_id)s
    GROUP BY t.lexeme"""  # noqa: S608

_COUNT_TERMS = f"""
    INSERT INTO term_frequencies AS f (tenant_id, vector_store_id, term, chunk_count)
    SELECT %(tenant_id)s, %(vector_store_id)s, term, chunks FROM ({_TERMS}) counted
    ON CONFLICT (tenant_id, vector_store_id, term)
        DO UPDATE SET chunk_count = f.chunk_count + excluded.chunk_count"""  # noqa: S608

_OF_TERM = """
    f.tenant_id = %(tenant_id)s AND f.vector_store_id = %(vector_store_id)s AND f.term = counted.term"""

_UNCOUNT_TERMS = f"""
    WITH counted AS ({_TERMS}), used_up AS (
        DELETE FROM term_frequencies f USING counted WHERE {_OF_TERM} AND f.chunk_count <= counted.chunks
    )
    UPDATE term_frequencies f SET chunk_count = f.chunk_count - counted.chunks
    FROM counted WHERE {_OF_TERM} AND f.chunk_count > counted.chunks"""  # noqa: S608


# Not COPY, which PostgreSQL does not allow under row-level security; psycopg pipelines these.
_INSERT_CHUNK = """
    INSERT INTO chunks (tenant_id, vector_store_id, file_id, ordinal, text, headings, page_first, page_last,
                        row_first, row_last, char_start, char_end, terms, term_count)
    VALUES (%(tenant_id)s, %(vector_store_id)s, %(file_id)s, %(ordinal)s, %(text)s, %(headings)s,
            %(page_first)s, %(page_last)s, %(row_first)s, %(row_last)s, %(start)s, %(end)s,
            %(terms)s::tsvector, %(term_count)s)"""


def _rows(key: _Key, chunks: Sequence[Chunk]) -> list[dict[str, object]]:
    return [_row(key, ordinal, chunk) for ordinal, chunk in enumerate(chunks)]


def _row(key: _Key, ordinal: int, chunk: Chunk) -> dict[str, object]:
    terms = document_terms(chunk.indexed_text)
    return {
        **_named(key),
        "ordinal": ordinal,
        "text": chunk.text,
        "headings": list(chunk.headings),
        "page_first": chunk.page_first,
        "page_last": chunk.page_last,
        "row_first": chunk.row_first,
        "row_last": chunk.row_last,
        "start": chunk.start,
        "end": chunk.end,
        "terms": _tsvector(terms, key[1]),
        "term_count": len(terms),
    }


def _named(key: _Key) -> dict[str, object]:
    return dict(zip(("tenant_id", "vector_store_id", "file_id"), key, strict=True))


def _tsvector(terms: Sequence[str], vector_store_id: str) -> str:
    """A tsvector's text form: each term once per place, and the store's id. Terms need no escaping."""
    places: dict[str, list[str]] = {}
    for place, term in enumerate(terms, 1):
        found = places.setdefault(term, [])
        if place <= _LAST_PLACE and len(found) < _MOST_PLACES:
            found.append(str(place))
    lexemes = [f"'{term}':{','.join(found)}" if found else f"'{term}'" for term, found in places.items()]
    return " ".join((*lexemes, quoted_lexeme(vector_store_id)))


def quoted_lexeme(lexeme: str) -> str:
    """A lexeme as PostgreSQL reads it in the text form of a tsvector or tsquery."""
    escaped = lexeme.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


async def _insert_embeddings(
    connection: Connection, key: _Key, embeddings: Sequence[Sequence[float]], dimensions: int
) -> None:
    insert = sql.SQL(
        "INSERT INTO {} (tenant_id, vector_store_id, file_id, ordinal, embedding) VALUES (%s, %s, %s, %s, %b)"
    ).format(embeddings_table(dimensions))
    await connection.cursor().executemany(
        insert, [(*key, ordinal, HalfVector(list(vector))) for ordinal, vector in enumerate(embeddings)]
    )
