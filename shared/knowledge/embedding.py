"""Embeds chunks: only what the tenant has not embedded before, in batches, several at once."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pgvector import HalfVector

from shared.knowledge.embedder import Embedder
from shared.knowledge.vectors import content_hash, half, known_vectors
from shared.postgres.database import Database


@dataclass(frozen=True)
class Embedded:
    """One vector per text, and how many of them were known."""

    vectors: list[HalfVector]
    reused: int


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """Embeds for tenants, at their cost. `batch` texts are sent by one call, and `calls` run at once."""

    database: Database
    embedder_of: Callable[[str], Embedder]
    batch: int
    calls: int

    async def embed(self, tenant_id: str, model: str, dimensions: int, texts: Sequence[str]) -> Embedded:
        """The vectors of `texts`, in order; of each different text one is made at most.

        Raises:
            NotFoundError: No embedding model has this name.
            UpstreamFailure: Nobody answered.
        """
        hashes = [content_hash(model, text) for text in texts]
        async with self.database.tenant(tenant_id) as connection:
            vectors = await known_vectors(connection, tenant_id, dimensions, hashes)
        missing = {key: text for key, text in zip(hashes, texts, strict=True) if key not in vectors}
        reused = sum(key not in missing for key in hashes)
        made = await self._made(self.embedder_of(tenant_id), model, list(missing.values()))
        vectors |= zip(missing, made, strict=True)
        return Embedded([vectors[key] for key in hashes], reused)

    async def _made(self, embedder: Embedder, model: str, texts: Sequence[str]) -> list[HalfVector]:
        places = asyncio.Semaphore(self.calls)

        async def embed(start: int) -> list[HalfVector]:
            async with places:
                vectors = await embedder.embed(model, texts[start : start + self.batch])
            # A list takes 32 bytes a number, this two: a long file has thousands of vectors.
            return [half(vector) for vector in vectors]

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(embed(start)) for start in range(0, len(texts), self.batch)]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        return [vector for task in tasks for vector in task.result()]
