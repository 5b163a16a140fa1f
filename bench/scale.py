"""A large store: how fast it is loaded and searched, and how much its index misses.

Chunks are loaded by COPY, as an operator would who moves a corpus, before the indexes are built. Texts are of
10,000 wordings with words as common as those of a language, vectors are random around what each is about.
Recall is that of the index against every vector compared; times are of `search` without embedding questions.

    python -m bench.scale [--chunks 1000000] [--dimensions 256]
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy
import psycopg
from pgvector import HalfVector
from pgvector.psycopg import register_vector_async
from psycopg import sql
from rich.console import Console
from rich.table import Table

from local.components.postgres import start_postgres
from local.process import Launcher
from shared.knowledge import candidates
from shared.knowledge.candidates import find_dense
from shared.knowledge.chunk import Chunk
from shared.knowledge.rows import Place, chunk_rows
from shared.knowledge.scope import read_stores
from shared.knowledge.search import SearchQuery, search
from shared.knowledge.terms import document_terms
from shared.knowledge.vectors import embeddings_table
from shared.postgres.database import Database

TENANT, STORE, MODEL = "bench", "vs_bench", "bench"
WORDINGS, WORDS, CHUNKS_PER_FILE, QUESTIONS = 10_000, 60, 100, 200
TERMS_PER_QUESTION = 6

# A quarter of an 8 GB server: what holds a million chunks with their indexes for the most part.
SHARED_BUFFERS = "2GB"
ROUNDS = 4

# Embeddings vary in far fewer directions than they have numbers; wholly random ones are no index's match.
MEANINGS = 32

_COLUMNS = {
    "tenant_id": "tenant_id",
    "vector_store_id": "vector_store_id",
    "file_id": "file_id",
    "version": "version",
    "ordinal": "ordinal",
    "text": "text",
    "headings": "headings",
    "lead": "lead",
    "char_start": "start",
    "char_end": "end",
    "terms": "terms",
    "term_count": "term_count",
}


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Synthetic chunks, the same in every run: chunk `i` is about wording `i % WORDINGS`."""

    chunks: int
    dimensions: int

    @cached_property
    def wordings(self) -> list[str]:
        """Texts of words of which the n-th is as common as 1/n."""
        heads = [f"{a}{b}{c}" for a in "bdfglmnprst" for b in ("a", "e", "io", "ou") for c in "bdgklmnprstvz"]
        words = [f"{head}{tail}" for head in heads for tail in ("al", "en", "is", "or", "um", "yx")]
        weights = [1 / (n + 1) for n in range(len(words))]
        pick = random.Random(7)
        return [" ".join(pick.choices(words, weights, k=WORDS)) for _ in range(WORDINGS)]

    @cached_property
    def _topics(self) -> Any:
        """What each wording is about: a place in the few directions that meaning has."""
        return numpy.random.default_rng(3).standard_normal((WORDINGS, MEANINGS), dtype=numpy.float32)

    @cached_property
    def _lift(self) -> Any:
        """Those directions among all the numbers of a vector."""
        return numpy.random.default_rng(4).standard_normal((MEANINGS, self.dimensions), dtype=numpy.float32)

    def around(self, numbers: Sequence[int], seed: int) -> Any:
        """A vector near what the wording of each number is about."""
        noise = numpy.random.default_rng(seed).standard_normal((len(numbers), MEANINGS), dtype=numpy.float32)
        return (self._topics[[n % WORDINGS for n in numbers]] + noise / 2) @ self._lift

    def files(self) -> Iterator[tuple[str, range]]:
        """Ids of files, and the numbers of their chunks."""
        for start in range(0, self.chunks, CHUNKS_PER_FILE):
            yield f"file-{start:010d}", range(start, min(start + CHUNKS_PER_FILE, self.chunks))


async def bulk_load(owner_url: str, corpus: Corpus) -> dict[str, float]:
    """Load the corpus as the owner of the schema, indexes last; seconds by step."""
    nearest = f"chunk_embeddings_{corpus.dimensions}_nearest"
    table = f"chunk_embeddings_{corpus.dimensions}"
    build = "CREATE INDEX {} ON {} USING {}"
    steps: dict[str, Any] = {
        "rows": lambda owner: _copy_rows(owner, corpus),
        "vectors": lambda owner: _copy_vectors(owner, corpus),
        "text index": lambda owner: owner.execute(
            build.format("chunks_by_term", "chunks", "gin (terms) WITH (fastupdate = off)")
        ),
        "vector index": lambda owner: owner.execute(
            build.format(nearest, table, "hnsw (embedding halfvec_cosine_ops)")
        ),
        "statistics": lambda owner: owner.execute("VACUUM (ANALYZE)"),
        # Or searches would be measured while this is written to disk.
        "checkpoint": lambda owner: owner.execute("CHECKPOINT"),
    }
    seconds = {}
    async with await psycopg.AsyncConnection.connect(owner_url, autocommit=True) as owner:
        await register_vector_async(owner)
        # The rows are consistent, so no foreign key has to look.
        await owner.execute("SET session_replication_role = replica; SET maintenance_work_mem = '2GB'")
        await owner.execute(f"DROP INDEX chunks_by_term, {nearest}".encode())
        for name, work in steps.items():
            started = time.perf_counter()
            await work(owner)
            seconds[name] = time.perf_counter() - started
    return seconds


async def _copy_rows(owner: psycopg.AsyncConnection, corpus: Corpus) -> None:
    rows = [list(_row(text).values()) for text in corpus.wordings]
    async with _copying(
        owner,
        "vector_stores",
        "vector_store_id",
        "embedding_model",
        "dimensions",
        "chunk_count",
        "term_total",
    ) as copy:
        await copy.write_row((TENANT, STORE, MODEL, corpus.dimensions, corpus.chunks, corpus.chunks * WORDS))
    async with _copying(owner, "files", "file_id", "filename", "purpose", "object_key", "status") as copy:
        for file_id, _ in corpus.files():
            await copy.write_row((TENANT, file_id, "bench", "assistants", "bench", "uploaded"))
    async with _copying(
        owner, "vector_store_files", "vector_store_id", "file_id", "status", "chunk_count", "live_version"
    ) as copy:
        for file_id, numbers in corpus.files():
            await copy.write_row((TENANT, STORE, file_id, "completed", len(numbers), 1))
    async with _copying(owner, "chunks", *list(_COLUMNS)[1:]) as copy:
        for file_id, numbers in corpus.files():
            for ordinal, number in enumerate(numbers):
                row = rows[number % WORDINGS]
                row[2], row[4] = file_id, ordinal
                await copy.write_row(row)
    await _copy_frequencies(owner, corpus)


async def _copy_frequencies(owner: psycopg.AsyncConnection, corpus: Corpus) -> None:
    counts: Counter[str] = Counter()
    for number, text in enumerate(corpus.wordings):
        times = len(range(number, corpus.chunks, WORDINGS))
        counts.update(dict.fromkeys(document_terms(text), times))
    async with _copying(owner, "term_frequencies", "vector_store_id", "term", "chunk_count") as copy:
        for term, count in counts.items():
            await copy.write_row((TENANT, STORE, term, count))


async def _copy_vectors(owner: psycopg.AsyncConnection, corpus: Corpus) -> None:
    statement = sql.SQL(
        "COPY {} (tenant_id, vector_store_id, file_id, version, ordinal, space, embedding)"
        " FROM STDIN (FORMAT binary)"
    ).format(embeddings_table(corpus.dimensions))
    async with owner.cursor().copy(statement) as copy:
        copy.set_types(["text", "text", "text", "int4", "int4", "int4", "halfvec"])
        for file_id, numbers in corpus.files():
            for ordinal, vector in enumerate(corpus.around(numbers, numbers[0])):
                await copy.write_row((TENANT, STORE, file_id, 1, ordinal, 0, HalfVector(vector)))


@asynccontextmanager
async def _copying(
    owner: psycopg.AsyncConnection, table: str, *columns: str
) -> AsyncIterator[psycopg.AsyncCopy]:
    names = sql.SQL(", ").join(map(sql.Identifier, ("tenant_id", *columns)))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
    async with owner.cursor().copy(statement) as copy:
        yield copy


def _row(text: str) -> dict[str, object]:
    nowhere = dict.fromkeys(("page_first", "page_last", "row_first", "row_last"))
    piece = Chunk(text=text, start=0, end=len(text), headings=(), lead="", **nowhere)
    place = Place(tenant_id=TENANT, vector_store_id=STORE, file_id="", version=1)
    (row,) = chunk_rows(place, [piece])
    return {column: row[name] for column, name in _COLUMNS.items()}


class Prepared:
    """Embeds the questions that it was made with."""

    def __init__(self, vectors: dict[str, list[float]]) -> None:
        self.vectors = vectors

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        return [self.vectors[text] for text in texts]


def questions(corpus: Corpus) -> dict[str, list[float]]:
    """Some words of a wording, and a vector near what it is about."""
    pick = random.Random(11)
    numbers = pick.sample(range(WORDINGS), QUESTIONS)
    texts = [" ".join(pick.sample(corpus.wordings[n].split(), TERMS_PER_QUESTION)) for n in numbers]
    return {t: [float(x) for x in v] for t, v in zip(texts, corpus.around(numbers, 5), strict=True)}


async def recall(database: Database, vectors: Sequence[Sequence[float]]) -> float:
    """Recall@10 of the index, 0 to 1."""
    hits = []
    async with database.tenant(TENANT) as connection:
        (store,) = await read_stores(connection, TENANT, [STORE])
        for vector in vectors:
            candidates._EXACT_BELOW = 0
            index = await find_dense(connection, TENANT, store, vector, None)
            candidates._EXACT_BELOW = store.chunk_count + 1
            exact = await find_dense(connection, TENANT, store, vector, None)
            best = sorted(exact, key=lambda key: exact[key])[:10]
            found = set(sorted(index, key=lambda key: index[key])[:10])
            hits.append(len(found.intersection(best)) / len(best))
    candidates._EXACT_BELOW = 20_000
    return statistics.mean(hits)


async def search_times(database: Database, asked: dict[str, list[float]]) -> list[list[float]]:
    """Milliseconds of each hybrid search, in every round of all questions: COPY leaves nothing in memory."""
    embedder, rounds = Prepared(asked), []
    for _ in range(ROUNDS):
        times = []
        for text in asked:
            started = time.perf_counter()
            await search(database, embedder, TENANT, SearchQuery(vector_store_ids=(STORE,), text=text))
            times.append((time.perf_counter() - started) * 1000)
        rounds.append(times)
    return rounds


async def run(corpus: Corpus) -> Table:
    """Load, measure, and put it into a table."""
    table = Table("figure", "value")
    with tempfile.TemporaryDirectory(prefix="weir-bench-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        await asyncio.to_thread(directory.chmod, 0o755)
        async with Launcher(directory / "logs") as launcher:
            urls = await start_postgres(
                directory / "postgres", launcher, durable=False, shared_buffers=SHARED_BUFFERS
            )
            seconds = await bulk_load(urls.owner, corpus)
            for step, took in seconds.items():
                table.add_row(f"{step}, s", f"{took:.0f}")
            rate = corpus.chunks / (seconds["rows"] + seconds["vectors"])
            table.add_row("chunks a second, without indexes", f"{rate:,.0f}")
            database = Database(urls.login, pool_size=4)
            await database.open()
            try:
                asked = questions(corpus)
                rounds = [statistics.quantiles(r, n=20) for r in await search_times(database, asked)]
                for name, cuts in (("first", rounds[0]), ("warm", rounds[-1])):
                    table.add_row(f"search p50, {name} round, ms", f"{cuts[9]:.1f}")
                    table.add_row(f"search p95, {name} round, ms", f"{cuts[18]:.1f}")
                table.add_row("recall@10 of the index", f"{await recall(database, list(asked.values())):.3f}")
            finally:
                await database.close()
    return table


def main() -> None:
    """Measure a store of the size that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--chunks", type=int, default=1_000_000)
    parser.add_argument("--dimensions", type=int, default=256)
    wanted = parser.parse_args()
    Console().print(asyncio.run(run(Corpus(chunks=wanted.chunks, dimensions=wanted.dimensions))))


if __name__ == "__main__":
    main()
