"""BM25's statistics of a store: how many chunks and terms it has, and in how many chunks each term stands.

They count every chunk in the table, those that are only staged too, and change in the transaction that
changes the chunks, whose store is locked.
"""

from dataclasses import dataclass

from shared.postgres.database import Connection


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Chunks of a file: of one version and a range of ordinals, or of all versions but one."""

    tenant_id: str
    vector_store_id: str
    file_id: str
    version: int | None = None
    but_version: int | None = None
    first: int = 0
    last: int = 2**31 - 1


async def count_in(connection: Connection, chunks: Counted) -> None:
    """Add these chunks as they stand."""
    await _count_store(connection, chunks, sign=1)
    await connection.execute(_COUNT_TERMS, vars(chunks))


async def count_out(connection: Connection, chunks: Counted) -> None:
    """Take these chunks, which are still there, out again."""
    await _count_store(connection, chunks, sign=-1)
    await connection.execute(_UNCOUNT_TERMS, vars(chunks))


async def _count_store(connection: Connection, chunks: Counted, *, sign: int) -> None:
    await connection.execute(_COUNT_STORE, {**vars(chunks), "sign": sign})


# A condition on chunks `c`.
COUNTED = """
    c.tenant_id = %(tenant_id)s AND c.vector_store_id = %(vector_store_id)s AND c.file_id = %(file_id)s
    AND (%(version)s::integer IS NULL OR c.version = %(version)s)
    AND c.version IS DISTINCT FROM %(but_version)s::integer AND c.ordinal BETWEEN %(first)s AND %(last)s"""

_COUNT_STORE = f"""
    UPDATE vector_stores s
    SET chunk_count = s.chunk_count + %(sign)s * counted.chunks,
        term_total = s.term_total + %(sign)s * counted.terms
    FROM (
        SELECT count(*) AS chunks, coalesce(sum(c.term_count), 0)::bigint AS terms
        FROM chunks c WHERE {COUNTED}
    ) counted
    WHERE s.tenant_id = %(tenant_id)s AND s.vector_store_id = %(vector_store_id)s AND counted.chunks > 0"""  # noqa: S608

_TERMS = f"""
    SELECT t.lexeme AS term, count(*) AS chunks
    FROM chunks c CROSS JOIN LATERAL unnest(c.terms) t
    WHERE {COUNTED} AND t.lexeme <> %(vector_store_id)s
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
