"""What is searched: stores with their statistics, and which of their files a filter lets through."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql
from psycopg.types.json import Jsonb

from shared.knowledge.filters import AttributeFilter, compile_filter, held_by_all
from shared.knowledge.ranking import Corpus
from shared.postgres.database import Connection


@dataclass(frozen=True, kw_only=True)
class StoreFacts:
    """What a search needs to know of a store. `space` is that of the vectors in use."""

    vector_store_id: str
    embedding_model: str
    dimensions: int
    space: int
    chunk_count: int
    term_total: int
    revision: int


@dataclass(frozen=True)
class Eligible:
    """The files of one store that pass a filter, and how many chunks they have together."""

    file_ids: list[str]
    chunk_count: int


async def read_stores(connection: Connection, tenant_id: str, ids: Sequence[str]) -> list[StoreFacts]:
    """Those of the stores that the tenant has, in the order of their ids."""
    cursor = await connection.execute(
        """
        SELECT vector_store_id, embedding_model, dimensions, space, chunk_count, term_total, revision
        FROM vector_stores WHERE tenant_id = %s AND vector_store_id = ANY(%s) ORDER BY vector_store_id
        """,
        (tenant_id, list(ids)),
    )
    return [StoreFacts(**row) for row in await cursor.fetchall()]


async def read_corpus(
    connection: Connection, tenant_id: str, stores: Sequence[StoreFacts], terms: Sequence[str]
) -> Corpus:
    """The statistics of the stores taken together."""
    cursor = await connection.execute(
        """
        SELECT term, sum(chunk_count)::bigint AS chunks FROM term_frequencies
        WHERE tenant_id = %s AND vector_store_id = ANY(%s) AND term = ANY(%s) GROUP BY term
        """,
        (tenant_id, [store.vector_store_id for store in stores], list(terms)),
    )
    return Corpus(
        chunk_count=sum(store.chunk_count for store in stores),
        term_total=sum(store.term_total for store in stores),
        frequencies={row["term"]: row["chunks"] for row in await cursor.fetchall()},
    )


async def read_eligible(
    connection: Connection, tenant_id: str, ids: Sequence[str], wanted: AttributeFilter
) -> dict[str, Eligible]:
    """The files of each store that pass the filter; nothing for a store of which none does.

    What the filter says must be equal is looked up in the index of attributes first.
    """
    condition, held = compile_filter(wanted), held_by_all(wanted)
    among = sql.SQL(
        " AND (f.vector_store_id, f.file_id) IN (SELECT * FROM match_attributes(%(ids)s, %(held)s))"
        if held
        else ""
    )
    statement = sql.SQL(
        "SELECT f.vector_store_id, f.file_id, f.chunk_count FROM vector_store_files f"
        " WHERE f.tenant_id = %(tenant_id)s AND f.vector_store_id = ANY(%(ids)s) AND {}{}"
    ).format(condition.sql, among)
    cursor = await connection.execute(
        statement, {**condition.parameters, "tenant_id": tenant_id, "ids": list(ids), "held": Jsonb(held)}
    )
    found: dict[str, Eligible] = {}
    for row in await cursor.fetchall():
        so_far = found.setdefault(row["vector_store_id"], Eligible([], 0))
        so_far.file_ids.append(row["file_id"])
        found[row["vector_store_id"]] = Eligible(so_far.file_ids, so_far.chunk_count + row["chunk_count"])
    return found
