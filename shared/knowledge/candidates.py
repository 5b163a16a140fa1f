"""The SQL of a search: which chunks either leg finds.

Every function runs in a transaction of the tenant, and names the tenant and one store besides, so that one
partition is asked. Chunks of a version that is only staged are passed over.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pgvector import HalfVector
from psycopg import sql

from shared.knowledge.ranking import ChunkKey, Corpus
from shared.knowledge.rows import quoted_lexeme
from shared.knowledge.scope import Eligible, StoreFacts
from shared.knowledge.term_choice import choose_terms, rarest
from shared.knowledge.vectors import embeddings_table
from shared.postgres.database import Connection

# How many candidates a leg hands on. Terms held order worse than BM25 does, so that list is the longer one.
_DENSE = 100
_LEXICAL = 200

# Chunks that a search may look at for their words, in a store of any size: so many take 14 ms. Of a small
# store a quarter, as words that are in more tell little.
_EXAMINED = 3_000
_EXAMINED_AT_LEAST = 1_000
_EXAMINED_SHARE = 0.25

# Below so many chunks every vector is compared, which misses nothing; above, the HNSW index is asked.
_EXACT_BELOW = 20_000

# If the index gives too few all the same, every vector is compared after all, up to so many.
_EXACT_AT_MOST = 200_000


async def find_lexical(
    connection: Connection,
    store: StoreFacts,
    corpus: Corpus,
    terms: Sequence[str],
    eligible: Eligible | None,
) -> set[ChunkKey]:
    """Chunks of the store that hold terms of the question, the likeliest by how much these tell."""
    examined = examined_at_most(corpus)
    choice = choose_terms(corpus, terms, examined=examined)
    looked_up = [any_of([(term,) for term in choice.alone]), any_of(choice.together)]
    asked = rarest(corpus, terms)
    cursor = await connection.execute(
        "SELECT * FROM find_terms(%s, %s::tsquery, %s::tsquery[], %s::tsquery[], %s::real[], %s, %s, %s)",
        (
            store.vector_store_id,
            quoted_lexeme(store.vector_store_id),
            [alternatives for alternatives in looked_up if alternatives],
            [quoted_lexeme(term) for term in asked],
            [corpus.idf(term) for term in asked],
            None if eligible is None else eligible.file_ids,
            examined,
            _LEXICAL,
        ),
    )
    return {ChunkKey(**row) for row in await cursor.fetchall()}


def examined_at_most(corpus: Corpus) -> int:
    """How many chunks a search looks at for their words."""
    return min(_EXAMINED, max(_EXAMINED_AT_LEAST, int(_EXAMINED_SHARE * corpus.chunk_count)))


def any_of(sets: Sequence[Sequence[str]]) -> str:
    """A tsquery of the chunks that hold one of the sets of terms whole."""
    return " | ".join(" & ".join(map(quoted_lexeme, terms)) for terms in sets)


async def find_dense(
    connection: Connection,
    tenant_id: str,
    store: StoreFacts,
    question: Sequence[float],
    eligible: Eligible | None,
) -> dict[ChunkKey, float]:
    """The chunks of the store nearest to the question, with their cosine distances."""
    expected = store.chunk_count if eligible is None else eligible.chunk_count
    ask = _Ask(connection, tenant_id, store, HalfVector(list(question)), eligible)
    if expected < _EXACT_BELOW:
        return await ask.every_vector()
    found = await ask.index()
    if len(found) < _DENSE and expected <= _EXACT_AT_MOST:
        # The graph ended before enough of these rows were met.
        return await ask.every_vector()
    return found


@dataclass(frozen=True)
class _Ask:
    connection: Connection
    tenant_id: str
    store: StoreFacts
    question: HalfVector
    eligible: Eligible | None

    async def index(self) -> dict[ChunkKey, float]:
        # A filtered HNSW scan ends early and says nothing; this goes on until there are enough rows.
        await self.connection.execute("SET LOCAL hnsw.iterative_scan = relaxed_order")
        await self.connection.execute("SET LOCAL hnsw.ef_search = 100")
        return await self._run(sql.SQL(NEAREST))

    async def every_vector(self) -> dict[ChunkKey, float]:
        return await self._run(sql.SQL(EXACT if self.eligible is None else EXACT_OF_FILES))

    async def _run(self, statement: sql.SQL) -> dict[ChunkKey, float]:
        cursor = await self.connection.execute(
            statement.format(table=embeddings_table(self.store.dimensions)),
            {
                "tenant_id": self.tenant_id,
                "store": self.store.vector_store_id,
                "space": self.store.space,
                "question": self.question,
                "files": None if self.eligible is None else self.eligible.file_ids,
                "wanted": _DENSE,
            },
        )
        return {
            ChunkKey(**row): distance for row in await cursor.fetchall() for distance in [row.pop("distance")]
        }


_COLUMNS = """
    SELECT e.vector_store_id, e.file_id, e.ordinal, e.version, e.embedding <=> %(question)b AS distance"""

_IN_STORE = """
    e.tenant_id = %(tenant_id)s AND e.vector_store_id = %(store)s AND e.space = %(space)s
    AND (e.file_id, e.version) NOT IN (
        SELECT f.file_id, f.staged_version FROM vector_store_files f
        WHERE f.tenant_id = %(tenant_id)s AND f.vector_store_id = %(store)s
          AND f.staged_version IS NOT NULL)"""

# By the graph: the distance is the index's own expression.
NEAREST = f"""{_COLUMNS}
    FROM {{table}} e
    WHERE {_IN_STORE} AND (%(files)s::text[] IS NULL OR e.file_id IN (SELECT unnest(%(files)s::text[])))
    ORDER BY e.embedding <=> %(question)b LIMIT %(wanted)s"""

# Every vector of the store, or of files: a sum is not the index's expression.
EXACT = f"""{_COLUMNS}
    FROM {{table}} e WHERE {_IN_STORE}
    ORDER BY (e.embedding <=> %(question)b) + 0 LIMIT %(wanted)s"""
EXACT_OF_FILES = f"""{_COLUMNS}
    FROM (SELECT DISTINCT unnest(%(files)s::text[]) AS file_id) k JOIN {{table}} e ON e.file_id = k.file_id
    WHERE {_IN_STORE}
    ORDER BY (e.embedding <=> %(question)b) + 0 LIMIT %(wanted)s"""
