"""Vector stores as OpenAI's SDK sends and expects them (openai/types/vector_store*.py)."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, field_validator

from api.schemas.fields import FileId, Item, Metadata, Name, RequestModel, Text
from api.schemas.files import unix
from shared.knowledge.store_models import FileCounts, VectorStore


class ChunkSizes(RequestModel):
    """OpenAI's sizes. Weir cuts along the structure of a document, so that chunks never overlap."""

    max_chunk_size_tokens: Annotated[int, Field(ge=100, le=4096)]
    chunk_overlap_tokens: Annotated[int, Field(ge=0, le=2048)] = 0

    @field_validator("chunk_overlap_tokens")
    @classmethod
    def _nothing_overlaps(cls, tokens: int) -> int:
        if tokens:
            raise ValueError("must be 0: chunks end where sentences, rows and sections do, and never overlap")
        return tokens


class AutomaticChunks(RequestModel):
    """The size that Weir found best, or that the store was made with."""

    type: Literal["auto"]


class StaticChunks(RequestModel):
    """A size of one's own."""

    type: Literal["static"]
    static: ChunkSizes


ChunkingStrategy = Annotated[AutomaticChunks | StaticChunks, Field(discriminator="type")]


class StoreExpiry(RequestModel):
    """After how many days without use a store is deleted."""

    anchor: Literal["last_active_at"] = "last_active_at"
    days: Annotated[int, Field(ge=1, le=365)]


class NewStoreExtras(RequestModel):
    """What OpenAI has no word for."""

    embedding_model: Name | None = None


class CreateStoreRequest(RequestModel):
    """POST /v1/vector_stores."""

    name: Name | None = None
    description: Annotated[Text, Field(max_length=2000)] | None = None
    file_ids: tuple[FileId, ...] = ()
    metadata: Metadata | None = None
    expires_after: StoreExpiry | None = None
    chunking_strategy: ChunkingStrategy | None = None
    weir: NewStoreExtras = NewStoreExtras()


class UpdateStoreRequest(RequestModel):
    """POST /v1/vector_stores/{id}: what is not sent stays, and null empties it.

    Another embedding model takes the place of the present one when everything is embedded anew.
    """

    name: Name | None = None
    metadata: Metadata | None = None
    expires_after: StoreExpiry | None = None
    weir: NewStoreExtras = NewStoreExtras()


class FileCountsObject(BaseModel):
    """Files by status."""

    in_progress: int
    completed: int
    failed: int
    cancelled: int
    total: int


class StoreExtras(BaseModel):
    """What OpenAI has no word for."""

    embedding_model: str
    dimensions: int
    next_embedding_model: str | None
    reembedding_error: str | None


class VectorStoreObject(Item):
    """OpenAI's vector store."""

    object: Literal["vector_store"] = "vector_store"
    created_at: int
    name: str
    description: str | None
    usage_bytes: int
    file_counts: FileCountsObject
    status: Literal["expired", "in_progress", "completed"]
    expires_after: StoreExpiry | None
    expires_at: int | None
    last_active_at: int
    metadata: dict[str, str]
    weir: StoreExtras


class VectorStoreDeleted(BaseModel):
    """OpenAI's answer to a deletion."""

    id: str
    object: Literal["vector_store.deleted"] = "vector_store.deleted"
    deleted: Literal[True] = True


def chunk_tokens_of(strategy: ChunkingStrategy | None) -> int | None:
    """The size that is asked for; `None` where none is."""
    return strategy.static.max_chunk_size_tokens if isinstance(strategy, StaticChunks) else None


def counts_object(counts: FileCounts) -> FileCountsObject:
    """Counts as they are shown."""
    return FileCountsObject(
        in_progress=counts.in_progress,
        completed=counts.completed,
        failed=counts.failed,
        cancelled=counts.cancelled,
        total=counts.total,
    )


def store_object(store: VectorStore, now: datetime) -> VectorStoreObject:
    """A store as it is shown."""
    days = store.settings.expires_after_days
    expired = store.expires_at is not None and store.expires_at <= now
    active: Literal["in_progress", "completed"] = (
        "in_progress" if store.file_counts.in_progress else "completed"
    )
    return VectorStoreObject(
        id=store.vector_store_id,
        created_at=unix(store.created_at),
        name=store.settings.name,
        description=store.description,
        usage_bytes=store.usage_bytes,
        file_counts=counts_object(store.file_counts),
        status="expired" if expired else active,
        expires_after=None if days is None else StoreExpiry(days=days),
        expires_at=None if store.expires_at is None else unix(store.expires_at),
        last_active_at=unix(store.last_active_at),
        metadata=dict(store.settings.metadata),
        weir=StoreExtras(
            embedding_model=store.embedding_model,
            dimensions=store.dimensions,
            next_embedding_model=store.next_embedding_model,
            reembedding_error=store.reembed_error,
        ),
    )
