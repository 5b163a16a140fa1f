"""Finds passages: by meaning and by words at once, in any number of a tenant's stores."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.knowledge.candidates import (
    Eligible,
    Space,
    StoreFacts,
    columns,
    find_dense,
    find_lexical,
    read_candidates,
    read_corpus,
    read_eligible,
    read_stores,
    searched_terms,
)
from shared.knowledge.embedder import Embedder
from shared.knowledge.filters import AttributeFilter
from shared.knowledge.passage import Passage
from shared.knowledge.ranking import ChunkKey, Corpus, Ranked, rank
from shared.knowledge.stores import no_such_store
from shared.knowledge.terms import query_terms
from shared.postgres.database import Connection, Database
from shared.providers.failures import UpstreamFailure
from shared.telemetry import logger

__all__ = ["DENSE_WEIGHT", "Passage", "SearchQuery", "search"]

DENSE_WEIGHT = 0.4

_log = logger("knowledge")


@dataclass(frozen=True, kw_only=True)
class SearchQuery:
    """A question to stores. Passages whose score is under the threshold are left out."""

    vector_store_ids: tuple[str, ...]
    text: str
    max_results: int = 10
    filters: AttributeFilter | None = None
    score_threshold: float = 0.0


def _usual_weight(_model: str) -> float:
    return DENSE_WEIGHT


async def search(
    database: Database,
    embedder: Embedder,
    tenant_id: str,
    query: SearchQuery,
    *,
    dense_weight: Callable[[str], float] = _usual_weight,
) -> list[Passage]:
    """The passages that answer `query` best, best first.

    When the question cannot be embedded, words alone decide; the log says so.

    Args:
        dense_weight: How much the vectors of a model count beside BM25, 0 to 1.

    Raises:
        NotFoundError: One of the stores is not the tenant's.
        UnavailableError: PostgreSQL cannot be reached.
    """
    terms = query_terms(query.text)
    async with database.tenant(tenant_id) as connection:
        stores = await _stores(connection, tenant_id, query)
        eligible = await _eligible(connection, tenant_id, query)
    (corpus, found), questions = await asyncio.gather(
        _lexical_leg(database, tenant_id, stores, terms, eligible),
        _embed(embedder, sorted({store.embedding_model for store in stores}), query.text),
    )
    spaces = _spaces(stores, questions, dense_weight)
    async with database.tenant(tenant_id) as connection:
        for space in spaces:
            found |= await find_dense(connection, tenant_id, space, eligible)
        ranked = await _ranked(connection, tenant_id, spaces, found, corpus, terms)
        kept = [chunk for chunk in ranked[: query.max_results] if chunk.score >= query.score_threshold]
        return await _passages(connection, tenant_id, kept)


async def _stores(connection: Connection, tenant_id: str, query: SearchQuery) -> list[StoreFacts]:
    stores = await read_stores(connection, tenant_id, query.vector_store_ids)
    known = {store.vector_store_id for store in stores}
    for vector_store_id in query.vector_store_ids:
        if vector_store_id not in known:
            raise no_such_store(vector_store_id)
    return stores


async def _eligible(connection: Connection, tenant_id: str, query: SearchQuery) -> Eligible | None:
    if query.filters is None:
        return None
    return await read_eligible(connection, tenant_id, query.vector_store_ids, query.filters)


async def _lexical_leg(
    database: Database,
    tenant_id: str,
    stores: Sequence[StoreFacts],
    terms: Sequence[str],
    eligible: Eligible | None,
) -> tuple[Corpus, set[ChunkKey]]:
    ids = [store.vector_store_id for store in stores]
    async with database.tenant(tenant_id) as connection:
        corpus = await read_corpus(connection, tenant_id, stores, terms)
        return corpus, await find_lexical(connection, ids, searched_terms(corpus, terms), eligible)


async def _embed(embedder: Embedder, models: Sequence[str], text: str) -> dict[str, Sequence[float]]:
    """The question in each model that answers."""
    answers = await asyncio.gather(*(_embed_one(embedder, model, text) for model in models))
    return {model: vector for model, vector in zip(models, answers, strict=True) if vector is not None}


async def _embed_one(embedder: Embedder, model: str, text: str) -> Sequence[float] | None:
    try:
        (vector,) = await embedder.embed(model, [text])
    except UpstreamFailure as failure:
        _log.warning("searching by words alone", extra={"model": model, "failure": failure.kind})
        return None
    return vector


def _spaces(
    stores: Sequence[StoreFacts],
    questions: dict[str, Sequence[float]],
    dense_weight: Callable[[str], float],
) -> list[Space]:
    spaces = []
    for model, dimensions in sorted({(store.embedding_model, store.dimensions) for store in stores}):
        members = [s for s in stores if (s.embedding_model, s.dimensions) == (model, dimensions)]
        spaces.append(
            Space(
                model=model,
                dimensions=dimensions,
                vector_store_ids=tuple(store.vector_store_id for store in members),
                chunk_count=sum(store.chunk_count for store in members),
                dense_weight=dense_weight(model),
                question=questions.get(model),
            )
        )
    return spaces


async def _ranked(
    connection: Connection,
    tenant_id: str,
    spaces: Sequence[Space],
    found: set[ChunkKey],
    corpus: Corpus,
    terms: Sequence[str],
) -> list[Ranked]:
    candidates = []
    for space in spaces:
        keys = [key for key in found if key.vector_store_id in space.vector_store_ids]
        candidates += await read_candidates(connection, tenant_id, space, keys, terms)
    return rank(candidates, corpus, terms)


async def _passages(connection: Connection, tenant_id: str, chunks: Sequence[Ranked]) -> list[Passage]:
    cursor = await connection.execute(
        """
        SELECT c.vector_store_id, c.file_id, c.ordinal, files.filename, files.source_url, f.attributes,
               c.text, c.headings, c.page_first, c.page_last, c.row_first, c.row_last, c.char_start,
               c.char_end
        FROM unnest(%(stores)s::text[], %(files)s::text[], %(ordinals)s::integer[])
            AS k (vector_store_id, file_id, ordinal)
        JOIN chunks c ON c.tenant_id = %(tenant_id)s AND c.vector_store_id = k.vector_store_id
            AND c.file_id = k.file_id AND c.ordinal = k.ordinal
        JOIN vector_store_files f ON f.tenant_id = c.tenant_id AND f.vector_store_id = c.vector_store_id
            AND f.file_id = c.file_id
        JOIN files ON files.tenant_id = c.tenant_id AND files.file_id = c.file_id
        """,
        {"tenant_id": tenant_id, **columns([chunk.key for chunk in chunks])},
    )
    rows = {
        ChunkKey(r["vector_store_id"], r["file_id"], r.pop("ordinal")): r for r in await cursor.fetchall()
    }
    return [
        Passage(**rows[chunk.key] | {"headings": tuple(rows[chunk.key]["headings"]), "score": chunk.score})
        for chunk in chunks
        if chunk.key in rows
    ]
