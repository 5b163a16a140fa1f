"""Both signals of what either leg found, and how alike the best are among themselves.

Every function runs in a transaction of the tenant, and names the tenant besides.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from pgvector import HalfVector
from psycopg import sql

from shared.knowledge.ranking import Candidate, ChunkKey
from shared.knowledge.rows import quoted_lexeme
from shared.knowledge.scope import StoreFacts
from shared.knowledge.vectors import embeddings_table
from shared.postgres.database import Connection


@dataclass(frozen=True, kw_only=True)
class Space:
    """Stores of one embedding model, and the question as its vector: `None` if it could not be embedded."""

    model: str
    dimensions: int
    stores: tuple[StoreFacts, ...]
    dense_weight: float
    question: Sequence[float] | None

    def members(self, keys: Iterable[ChunkKey]) -> list[ChunkKey]:
        """Those of the chunks that are in these stores."""
        ids = {store.vector_store_id for store in self.stores}
        return [key for key in keys if key.vector_store_id in ids]

    def numbers(self, keys: Sequence[ChunkKey]) -> list[int]:
        """The number of the space in the store of each chunk."""
        number = {store.vector_store_id: store.space for store in self.stores}
        return [number[key.vector_store_id] for key in keys]


async def read_candidates(
    connection: Connection, tenant_id: str, space: Space, keys: Sequence[ChunkKey], terms: Sequence[str]
) -> list[Candidate]:
    """Both signals of each chunk of the space that is still there."""
    similarity = sql.SQL("NULL::float8")
    question: HalfVector | None = None
    if space.question is not None:
        similarity = sql.SQL("1 - (e.embedding <=> %(question)b)")
        question = HalfVector(list(space.question))
    statement = sql.SQL(
        """
        SELECT c.vector_store_id, c.file_id, c.ordinal, c.version, c.term_count, {similarity} AS similarity,
            ARRAY(SELECT ts_rank('{{1,1,1,1}}', c.terms, t.term)
                  FROM unnest(%(terms)s::tsquery[]) WITH ORDINALITY AS t (term, n) ORDER BY t.n) AS standing
        FROM unnest(%(stores)s::text[], %(files)s::text[], %(ordinals)s::integer[], %(versions)s::integer[],
                    %(spaces)s::integer[]) AS k (vector_store_id, file_id, ordinal, version, space)
        JOIN chunks c ON c.tenant_id = %(tenant_id)s AND c.vector_store_id = k.vector_store_id
            AND c.file_id = k.file_id AND c.version = k.version AND c.ordinal = k.ordinal
            AND c.vector_store_id = ANY(%(within)s)
        JOIN {table} e ON e.tenant_id = %(tenant_id)s AND e.vector_store_id = k.vector_store_id
            AND e.file_id = k.file_id AND e.version = k.version AND e.ordinal = k.ordinal
            AND e.space = k.space AND e.vector_store_id = ANY(%(within)s)
        """
    ).format(similarity=similarity, table=embeddings_table(space.dimensions))
    cursor = await connection.execute(
        statement,
        {
            "tenant_id": tenant_id,
            "terms": [quoted_lexeme(term) for term in terms],
            "question": question,
            "spaces": space.numbers(keys),
            **columns(keys),
        },
    )
    return [
        Candidate(
            key=ChunkKey(row["vector_store_id"], row["file_id"], row["ordinal"], row["version"]),
            length=row["term_count"],
            occurrences={t: counted(rank) for t, rank in zip(terms, row["standing"], strict=True) if rank},
            similarity=row["similarity"],
            model=space.model,
            dense_weight=space.dense_weight,
        )
        for row in await cursor.fetchall()
    ]


# `ts_rank` of a single term, with weights of 1: 1/1 + 1/4 + 1/9 ... for each time that it stands there, as a
# part of the sum of all (calc_rank_or in PostgreSQL's tsrank.c). Five times as fast as to unnest a tsvector
# for its positions, of which it keeps 255 a term.
_RANKS = [r / 1.64493406685 for r in accumulate(1 / n**2 for n in range(1, 256))]


def counted(rank: float) -> int:
    """How often a term of this rank stands in a chunk."""
    return bisect_left(_RANKS, rank * (1 - 1e-6)) + 1


def columns(keys: Sequence[ChunkKey]) -> dict[str, list[str] | list[int]]:
    """The keys as the arrays `stores`, `files`, `ordinals` and `versions`, for `unnest`; and `within`, by
    which other partitions need not even be planned for.
    """
    return {
        "within": sorted({key.vector_store_id for key in keys}),
        "stores": [key.vector_store_id for key in keys],
        "files": [key.file_id for key in keys],
        "ordinals": [key.ordinal for key in keys],
        "versions": [key.version for key in keys],
    }


async def read_similarities(
    connection: Connection, tenant_id: str, space: Space, keys: Sequence[ChunkKey]
) -> dict[tuple[ChunkKey, ChunkKey], float]:
    """The cosine of each two chunks of the space, in either order."""
    statement = sql.SQL(
        """
        WITH v AS MATERIALIZED (
            SELECT k.place, e.embedding
            FROM unnest(%(stores)s::text[], %(files)s::text[], %(ordinals)s::integer[],
                        %(versions)s::integer[], %(spaces)s::integer[])
                WITH ORDINALITY AS k (vector_store_id, file_id, ordinal, version, space, place)
            JOIN {table} e ON e.tenant_id = %(tenant_id)s AND e.vector_store_id = k.vector_store_id
                AND e.file_id = k.file_id AND e.version = k.version AND e.ordinal = k.ordinal
                AND e.space = k.space AND e.vector_store_id = ANY(%(within)s))
        SELECT a.place - 1 AS first, b.place - 1 AS second, 1 - (a.embedding <=> b.embedding) AS similarity
        FROM v a JOIN v b ON a.place < b.place
        """
    ).format(table=embeddings_table(space.dimensions))
    cursor = await connection.execute(
        statement, {"tenant_id": tenant_id, "spaces": space.numbers(keys), **columns(keys)}
    )
    found: dict[tuple[ChunkKey, ChunkKey], float] = {}
    for row in await cursor.fetchall():
        a, b = keys[row["first"]], keys[row["second"]]
        found[a, b] = found[b, a] = row["similarity"]
    return found
