"""The SQL of a search: which chunks either leg finds, and both signals of each.

Every function runs in a transaction of the tenant, and names the tenant besides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pgvector import HalfVector
from psycopg import sql

from shared.knowledge.filters import AttributeFilter, compile_filter
from shared.knowledge.index import embeddings_table, quoted_lexeme
from shared.knowledge.ranking import Candidate, ChunkKey, Corpus
from shared.postgres.database import Connection

# How many candidates a leg hands on. `ts_rank` orders worse than BM25 does, so its list is the longer one.
_DENSE = 100
_LEXICAL = 200

# Below so many chunks every vector is compared, which misses nothing; above, the HNSW index is asked.
_EXACT_BELOW = 20_000

# A term in more of the chunks than this finds no candidates, as it would find them all; it still counts in
# their scores. Small stores are spared: their lists fit anyway.
_COMMON_SHARE = 0.05
_COMMON_AT_LEAST = 200

# Terms of a question that are looked up, rarest first: a pasted page is no reason to read the whole index.
_MOST_TERMS = 64


@dataclass(frozen=True, kw_only=True)
class StoreFacts:
    """What a search needs to know of a store."""

    vector_store_id: str
    embedding_model: str
    dimensions: int
    chunk_count: int
    term_total: int


@dataclass(frozen=True, kw_only=True)
class Space:
    """Stores of one embedding model, and the question as its vector: `None` if it could not be embedded."""

    model: str
    dimensions: int
    vector_store_ids: tuple[str, ...]
    chunk_count: int
    dense_weight: float
    question: Sequence[float] | None


@dataclass(frozen=True, kw_only=True)
class Eligible:
    """The files that pass a filter: each id beside the id of its store. `chunk_count` is of them all."""

    vector_store_ids: list[str]
    file_ids: list[str]
    chunk_count: int


async def read_stores(connection: Connection, tenant_id: str, ids: Sequence[str]) -> list[StoreFacts]:
    """Those of the stores that the tenant has, in the order of their ids."""
    cursor = await connection.execute(
        """
        SELECT vector_store_id, embedding_model, dimensions, chunk_count, term_total
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
) -> Eligible:
    """The files of the stores that pass the filter."""
    condition = compile_filter(wanted)
    statement = sql.SQL(
        "SELECT f.vector_store_id, f.file_id, f.chunk_count FROM vector_store_files f"
        " WHERE f.tenant_id = %(tenant_id)s AND f.vector_store_id = ANY(%(ids)s) AND {}"
    ).format(condition.sql)
    cursor = await connection.execute(
        statement, {**condition.parameters, "tenant_id": tenant_id, "ids": list(ids)}
    )
    rows = await cursor.fetchall()
    return Eligible(
        vector_store_ids=[row["vector_store_id"] for row in rows],
        file_ids=[row["file_id"] for row in rows],
        chunk_count=sum(row["chunk_count"] for row in rows),
    )


def searched_terms(corpus: Corpus, terms: Sequence[str]) -> list[str]:
    """The terms that find candidates, rarest first: those not too common, or the rarest one if all are."""
    known = sorted((t for t in terms if t in corpus.frequencies), key=lambda t: corpus.frequencies[t])
    limit = max(_COMMON_AT_LEAST, _COMMON_SHARE * corpus.chunk_count)
    return [t for t in known if corpus.frequencies[t] <= limit][:_MOST_TERMS] or known[:1]


async def find_lexical(
    connection: Connection, ids: Sequence[str], terms: Sequence[str], eligible: Eligible | None
) -> set[ChunkKey]:
    """Chunks of the stores that hold any of the terms, the likeliest by `ts_rank`."""
    if not terms:
        return set()
    cursor = await connection.execute(
        """
        SELECT * FROM match_chunks(%(ids)s, %(ranked)s::tsquery, %(within)s::tsquery, %(eligible_stores)s,
                                   %(eligible_files)s, %(wanted)s)
        """,
        {
            "ids": list(ids),
            "ranked": _any_of(terms),
            "within": _any_of(ids),
            **_parameters(eligible),
            "wanted": _LEXICAL,
        },
    )
    return {ChunkKey(**row) for row in await cursor.fetchall()}


async def find_dense(
    connection: Connection, tenant_id: str, space: Space, eligible: Eligible | None
) -> set[ChunkKey]:
    """The chunks nearest to the question in its space."""
    if space.question is None:
        return set()
    if (space.chunk_count if eligible is None else eligible.chunk_count) < _EXACT_BELOW:
        # Not the index's own expression, so that all rows of the store are compared.
        distance = sql.SQL("(e.embedding <=> %(question)b) + 0")
    else:
        distance = sql.SQL("e.embedding <=> %(question)b")
        # A filtered HNSW scan ends early and says nothing; this goes on until there are enough rows.
        await connection.execute("SET LOCAL hnsw.iterative_scan = relaxed_order")
        await connection.execute("SET LOCAL hnsw.ef_search = 100")
    statement = sql.SQL(
        """
        SELECT e.vector_store_id, e.file_id, e.ordinal FROM {table} e
        WHERE e.tenant_id = %(tenant_id)s AND e.vector_store_id = ANY(%(ids)s) AND (
            %(eligible_files)s::text[] IS NULL OR (e.vector_store_id, e.file_id) IN (
                SELECT * FROM unnest(%(eligible_stores)s::text[], %(eligible_files)s::text[])))
        ORDER BY {distance} LIMIT %(wanted)s
        """
    ).format(table=embeddings_table(space.dimensions), distance=distance)
    cursor = await connection.execute(
        statement,
        {
            "tenant_id": tenant_id,
            "ids": list(space.vector_store_ids),
            "question": HalfVector(list(space.question)),
            **_parameters(eligible),
            "wanted": _DENSE,
        },
    )
    return {ChunkKey(**row) for row in await cursor.fetchall()}


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
        SELECT c.vector_store_id, c.file_id, c.ordinal, c.term_count, {similarity} AS similarity, (
            SELECT jsonb_object_agg(t.lexeme, cardinality(t.positions)) FROM unnest(c.terms) t
            WHERE t.lexeme = ANY(%(terms)s)) AS occurrences
        FROM unnest(%(stores)s::text[], %(files)s::text[], %(ordinals)s::integer[])
            AS k (vector_store_id, file_id, ordinal)
        JOIN chunks c ON c.tenant_id = %(tenant_id)s AND c.vector_store_id = k.vector_store_id
            AND c.file_id = k.file_id AND c.ordinal = k.ordinal
        JOIN {table} e ON e.tenant_id = c.tenant_id AND e.vector_store_id = c.vector_store_id
            AND e.file_id = c.file_id AND e.ordinal = c.ordinal
        """
    ).format(similarity=similarity, table=embeddings_table(space.dimensions))
    cursor = await connection.execute(
        statement, {"tenant_id": tenant_id, "terms": list(terms), "question": question, **columns(keys)}
    )
    return [
        Candidate(
            key=ChunkKey(row["vector_store_id"], row["file_id"], row["ordinal"]),
            length=row["term_count"],
            occurrences={term: count or 1 for term, count in (row["occurrences"] or {}).items()},
            similarity=row["similarity"],
            model=space.model,
            dense_weight=space.dense_weight,
        )
        for row in await cursor.fetchall()
    ]


def columns(keys: Sequence[ChunkKey]) -> dict[str, list[str] | list[int]]:
    """The keys as the arrays `stores`, `files` and `ordinals`, for `unnest`."""
    return {
        "stores": [key.vector_store_id for key in keys],
        "files": [key.file_id for key in keys],
        "ordinals": [key.ordinal for key in keys],
    }


def _any_of(lexemes: Sequence[str]) -> str:
    """A tsquery's text form."""
    return " | ".join(map(quoted_lexeme, lexemes))


def _parameters(eligible: Eligible | None) -> Mapping[str, list[str] | None]:
    if eligible is None:
        return {"eligible_stores": None, "eligible_files": None}
    return {"eligible_stores": eligible.vector_store_ids, "eligible_files": eligible.file_ids}
