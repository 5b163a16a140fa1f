"""Vector stores and the files in them, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

AttributeValue = str | int | float | bool
StoreFileStatus = Literal["in_progress", "completed", "cancelled", "failed"]
FileErrorCode = Literal["server_error", "unsupported_file", "invalid_file"]


@dataclass(frozen=True, kw_only=True)
class StoreSettings:
    """What may be changed of a store. `expires_after_days` counts from the last use; `None` keeps it."""

    name: str = ""
    metadata: Mapping[str, str]
    expires_after_days: int | None = None


@dataclass(frozen=True, kw_only=True)
class NewVectorStore:
    """What the creator of a store decides. `chunk_tokens`: the size of chunks, `None` for Weir's own."""

    tenant_id: str
    settings: StoreSettings
    description: str | None = None
    embedding_model: str
    dimensions: int
    chunk_tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class FileCounts:
    """Files of a store or of a batch by status."""

    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def total(self) -> int:
        """Files in any status."""
        return self.in_progress + self.completed + self.failed + self.cancelled


@dataclass(frozen=True, kw_only=True)
class VectorStore:
    """A store with the state of its files. `usage_bytes` is what their text and vectors take.

    `next_embedding_model` is what it is changing to, and `reembed_error` why the last change was given up.
    """

    vector_store_id: str
    settings: StoreSettings
    description: str | None
    embedding_model: str
    dimensions: int
    next_embedding_model: str | None
    reembed_error: str | None
    file_counts: FileCounts
    usage_bytes: int
    created_at: datetime
    last_active_at: datetime

    @property
    def expires_at(self) -> datetime | None:
        """When the store will be removed if nobody uses it until then."""
        days = self.settings.expires_after_days
        return None if days is None else self.last_active_at + timedelta(days=days)


@dataclass(frozen=True, kw_only=True)
class StoreFile:
    """A file in a store, which is also its ingestion job. `uploaded` says that its bytes are there.

    `chunk_tokens` is the size of its chunks, and `unread_pages` are pages that are in no chunk: they are
    scanned, and no vision model read them.
    """

    vector_store_id: str
    file_id: str
    filename: str
    uploaded: bool
    status: StoreFileStatus
    attributes: Mapping[str, AttributeValue]
    error_code: FileErrorCode | None
    error_message: str | None
    chunk_count: int
    chunk_tokens: int
    unread_pages: Sequence[int]
    usage_bytes: int
    progress: "PartProgress | None"
    created_at: datetime

    @property
    def ready_to_ingest(self) -> bool:
        """Whether to tell ingestion: unfinished, and its bytes are there. Else the upload tells it."""
        return self.uploaded and self.status == "in_progress"


@dataclass(frozen=True)
class PartProgress:
    """How many parts of a large file are done, while it is in progress; it is searchable when all are."""

    completed: int
    total: int


@dataclass(frozen=True, kw_only=True)
class FileBatch:
    """Files that were attached together."""

    batch_id: str
    vector_store_id: str
    file_counts: FileCounts
    created_at: datetime
