"""A chunk as the rows that search reads: its text with its terms, and its vector."""

from collections.abc import Sequence
from dataclasses import dataclass

from pgvector import HalfVector
from psycopg import sql

from shared.knowledge.chunk import Chunk
from shared.knowledge.terms import document_terms
from shared.knowledge.vectors import content_hash, embeddings_table, half
from shared.postgres.database import Connection

Vector = Sequence[float] | HalfVector

# Ordinals rise through a file: the number of the part times this, plus the place in the part.
PART_SPAN = 1 << 16

# What a tsvector can hold of one term: places up to 16,383, and 256 of them.
_LAST_PLACE = 16_383
_MOST_PLACES = 256


@dataclass(frozen=True, kw_only=True)
class Place:
    """Which version of a file in a store, and which of its parts, from 0."""

    tenant_id: str
    vector_store_id: str
    file_id: str
    version: int
    part: int = 0

    @property
    def first_ordinal(self) -> int:
        """Of the part's chunks."""
        return self.part * PART_SPAN

    @property
    def last_ordinal(self) -> int:
        """That the part's chunks may have."""
        return self.first_ordinal + PART_SPAN - 1


def chunk_rows(place: Place, chunks: Sequence[Chunk]) -> list[dict[str, object]]:
    """The rows of chunks. Takes a while: count the terms in a thread."""
    return [_row(place, place.first_ordinal + i, chunk) for i, chunk in enumerate(chunks)]


# Not COPY, which PostgreSQL does not allow under row-level security; psycopg pipelines these.
_INSERT_CHUNK = """
    INSERT INTO chunks (tenant_id, vector_store_id, file_id, version, ordinal, text, headings, lead,
                        page_first, page_last, row_first, row_last, char_start, char_end, terms, term_count)
    VALUES (%(tenant_id)s, %(vector_store_id)s, %(file_id)s, %(version)s, %(ordinal)s, %(text)s, %(headings)s,
            %(lead)s, %(page_first)s, %(page_last)s, %(row_first)s, %(row_last)s, %(start)s, %(end)s,
            %(terms)s::tsvector, %(term_count)s)"""


async def insert_chunks(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    """Write rows of `chunk_rows`."""
    await connection.cursor().executemany(_INSERT_CHUNK, rows)


async def insert_vectors(
    connection: Connection,
    place: Place,
    chunks: Sequence[Chunk],
    vectors: Sequence[Vector],
    *,
    model: str,
    dimensions: int,
    space: int,
) -> None:
    """Write the vector of each chunk."""
    insert = sql.SQL(
        "INSERT INTO {} (tenant_id, vector_store_id, file_id, version, ordinal, space, content_hash,"
        " embedding) VALUES (%s, %s, %s, %s, %s, %s, %s, %b)"
    ).format(embeddings_table(dimensions))
    key = (place.tenant_id, place.vector_store_id, place.file_id, place.version)
    rows = [
        (*key, place.first_ordinal + i, space, content_hash(model, chunk.indexed_text), half(vector))
        for i, (chunk, vector) in enumerate(zip(chunks, vectors, strict=True))
    ]
    await connection.cursor().executemany(insert, rows)


def _row(place: Place, ordinal: int, chunk: Chunk) -> dict[str, object]:
    terms = document_terms(chunk.indexed_text)
    return {
        "tenant_id": place.tenant_id,
        "vector_store_id": place.vector_store_id,
        "file_id": place.file_id,
        "version": place.version,
        "ordinal": ordinal,
        "text": chunk.text,
        "headings": list(chunk.headings),
        "lead": chunk.lead,
        "page_first": chunk.page_first,
        "page_last": chunk.page_last,
        "row_first": chunk.row_first,
        "row_last": chunk.row_last,
        "start": chunk.start,
        "end": chunk.end,
        "terms": _tsvector(terms, place.vector_store_id),
        "term_count": len(terms),
    }


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
