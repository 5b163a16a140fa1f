"""What ingestion makes of a document before it is written: its kept text, chunks and vectors."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pgvector import HalfVector

from shared.documents.document import Document
from shared.knowledge.chunk import Chunk, chunk
from shared.knowledge.jobs import Leased
from shared.knowledge.means import Means


@dataclass(frozen=True, kw_only=True)
class Made:
    """The chunks of a document, a vector for each, and how many of the vectors were known."""

    chunks: Sequence[Chunk]
    vectors: Sequence[HalfVector]
    reused: int

    def count(self, means: Means) -> None:
        """Tell that they are written."""
        means.count("ChunksWritten", len(self.chunks))
        means.count("VectorsReused", self.reused)


async def make(means: Means, claim: Leased[Any], document: Document, text_key: str) -> Made:
    """Keep the document's text at a key, cut it, and embed what comes of it."""
    tenant_id = claim.job.tenant_id
    chunks = await asyncio.to_thread(chunk, document, max_tokens=claim.chunk_tokens)
    await means.objects.put(text_key, document.text.encode(), "text/markdown; charset=utf-8")
    texts = [piece.indexed_text for piece in chunks]
    embedded = await means.embedding.embed(tenant_id, claim.embedding_model, claim.dimensions, texts)
    return Made(chunks=chunks, vectors=embedded.vectors, reused=embedded.reused)
