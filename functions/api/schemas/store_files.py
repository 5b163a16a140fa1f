"""Files in vector stores as OpenAI's SDK sends and expects them (openai/types/vector_stores/*.py)."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from api.schemas.fields import Attributes, FileId, Item, RequestModel
from api.schemas.files import unix
from api.schemas.vector_stores import (
    ChunkingStrategy,
    ChunkSizes,
    FileCountsObject,
    StaticChunks,
    counts_object,
)
from shared.knowledge.store_models import (
    AttributeValue,
    FileBatch,
    FileErrorCode,
    StoreFile,
    StoreFileStatus,
)


class AttachRequest(RequestModel):
    """POST /v1/vector_stores/{id}/files, and one file of a batch."""

    file_id: FileId
    attributes: Attributes | None = None
    chunking_strategy: ChunkingStrategy | None = None


class UpdateStoreFileRequest(RequestModel):
    """POST /v1/vector_stores/{id}/files/{file_id}; null empties the attributes."""

    attributes: Attributes | None


class BatchRequest(RequestModel):
    """POST /v1/vector_stores/{id}/file_batches: ids with attributes for all, or files each with its own."""

    file_ids: Annotated[list[FileId], Field(min_length=1)] | None = None
    files: Annotated[list[AttachRequest], Field(min_length=1)] | None = None
    attributes: Attributes | None = None
    chunking_strategy: ChunkingStrategy | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.file_ids is None) is (self.files is None):
            raise ValueError("send either 'file_ids' or 'files'")
        return self

    @property
    def attachments(self) -> tuple[AttachRequest, ...]:
        """What to attach, one by one."""
        if self.files is not None:
            return tuple(self.files)
        strategy = self.chunking_strategy
        return tuple(
            AttachRequest(file_id=i, attributes=self.attributes, chunking_strategy=strategy)
            for i in self.file_ids or ()
        )


class LastError(BaseModel):
    """Why a file could not be ingested."""

    code: FileErrorCode
    message: str


class PartsObject(BaseModel):
    """Parts of a large file that is in progress."""

    completed: int
    total: int


class StoreFileExtras(BaseModel):
    """What OpenAI has no word for. `unread_pages` are scanned, and no vision model read them."""

    filename: str
    chunk_count: int
    unread_pages: Sequence[int]
    parts: PartsObject | None


class StoreFileObject(Item):
    """OpenAI's vector store file."""

    object: Literal["vector_store.file"] = "vector_store.file"
    created_at: int
    vector_store_id: str
    status: StoreFileStatus
    last_error: LastError | None
    usage_bytes: int
    attributes: Mapping[str, AttributeValue]
    chunking_strategy: StaticChunks
    weir: StoreFileExtras


class StoreFileDeleted(BaseModel):
    """OpenAI's answer when a file is taken out of a store."""

    id: str
    object: Literal["vector_store.file.deleted"] = "vector_store.file.deleted"
    deleted: Literal[True] = True


class FileBatchObject(BaseModel):
    """OpenAI's batch of vector store files."""

    id: str
    object: Literal["vector_store.files_batch"] = "vector_store.files_batch"
    created_at: int
    vector_store_id: str
    status: Literal["in_progress", "completed", "cancelled"]
    file_counts: FileCountsObject


class TextPart(BaseModel):
    """A piece of text."""

    type: Literal["text"] = "text"
    text: str


class ContentPage(BaseModel):
    """A part of a file's clean text; for the next part pass `next_page` as `page`."""

    object: Literal["vector_store.file_content.page"] = "vector_store.file_content.page"
    data: list[TextPart]
    has_more: bool
    next_page: str | None


def store_file_object(file: StoreFile) -> StoreFileObject:
    """A file in a store as it is shown."""
    error = None
    if file.error_code is not None:
        error = LastError(code=file.error_code, message=file.error_message or "")
    parts = file.progress and PartsObject(completed=file.progress.completed, total=file.progress.total)
    return StoreFileObject(
        id=file.file_id,
        created_at=unix(file.created_at),
        vector_store_id=file.vector_store_id,
        status=file.status,
        last_error=error,
        usage_bytes=file.usage_bytes,
        attributes=file.attributes,
        chunking_strategy=StaticChunks(
            type="static", static=ChunkSizes(max_chunk_size_tokens=file.chunk_tokens)
        ),
        weir=StoreFileExtras(
            filename=file.filename,
            chunk_count=file.chunk_count,
            unread_pages=file.unread_pages,
            parts=parts,
        ),
    )


def batch_object(batch: FileBatch) -> FileBatchObject:
    """A batch as it is shown: cancelled when nothing of it was left to complete."""
    counts = batch.file_counts
    finished: Literal["completed", "cancelled"] = (
        "cancelled" if counts.cancelled == counts.total else "completed"
    )
    return FileBatchObject(
        id=batch.batch_id,
        created_at=unix(batch.created_at),
        vector_store_id=batch.vector_store_id,
        status="in_progress" if counts.in_progress else finished,
        file_counts=counts_object(counts),
    )
