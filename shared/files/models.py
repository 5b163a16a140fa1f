"""A file: a record in PostgreSQL beside an object in S3."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

# OpenAI's, without fine-tuning. Those that end in `_output` are made by Weir alone.
Purpose = Literal["assistants", "assistants_output", "batch", "batch_output", "user_data", "vision"]

# Pending: the record is there, its bytes are awaited.
FileStatus = Literal["pending", "uploaded"]


@dataclass(frozen=True, kw_only=True)
class NewFile:
    """What the creator of a file knows.

    `source_url` is the page it was scraped from; a tenant has one file per such URL. `expires_at` of `None`
    keeps the file until it is deleted.
    """

    tenant_id: str
    filename: str
    purpose: Purpose
    media_type: str | None = None
    bytes: int = 0
    source_url: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file's record. `bytes` is the announced size until the file is uploaded, then the true one."""

    tenant_id: str
    file_id: str
    filename: str
    purpose: Purpose
    media_type: str | None
    bytes: int
    object_key: str
    status: FileStatus
    source_url: str | None
    created_at: datetime
    expires_at: datetime | None
