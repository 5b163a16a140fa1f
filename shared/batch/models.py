"""A batch: what it is told, how far it is, and how it ended. Names and states are OpenAI's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.providers.tokens import TokenUsage

Endpoint = Literal["/v1/chat/completions", "/v1/embeddings"]
Status = Literal[
    "validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"
]

UNFINISHED: frozenset[Status] = frozenset(("validating", "in_progress", "finalizing", "cancelling"))

# OpenAI's only window.
WINDOW = timedelta(hours=24)


class Problem(BaseModel):
    """What is wrong with a batch, or with one line of it, counted from 1."""

    model_config = ConfigDict(frozen=True)

    code: str
    message: str
    param: str | None = None
    line: int | None = None


@dataclass(frozen=True, kw_only=True)
class NewBatch:
    """What the creator of a batch decides. `output_expires_after`: seconds that its files are kept."""

    tenant_id: str
    key_id: str
    endpoint: Endpoint
    input_file_id: str
    metadata: Mapping[str, str] | None = None
    output_expires_after: int | None = None


@dataclass(frozen=True, kw_only=True)
class Input:
    """What an input file turned out to be: its version, the model of all its lines, its first problems."""

    etag: str
    model: str | None
    problems: Sequence[Problem]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Lines of a batch; those that are neither completed nor failed wait, or were not reached."""

    total: int
    completed: int
    failed: int


@dataclass(frozen=True, kw_only=True)
class Moments:
    """When a batch came to be what it is."""

    created_at: datetime
    expires_at: datetime
    in_progress_at: datetime | None
    finalizing_at: datetime | None
    completed_at: datetime | None
    failed_at: datetime | None
    expired_at: datetime | None
    cancelling_at: datetime | None
    cancelled_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A batch as it is now. The files are there when it has ended, each only if it has a line.

    `model` is what all its lines ask; `None`: its file is not read yet, or they ask several. `usage` is the
    sum of what the answers say in the output file; `None` until it is written.
    """

    tenant_id: str
    batch_id: str
    key_id: str
    endpoint: Endpoint
    input_file_id: str
    metadata: Mapping[str, str] | None
    output_expires_after: int | None
    status: Status
    errors: tuple[Problem, ...]
    input_etag: str | None
    counts: Counts
    model: str | None
    usage: TokenUsage | None
    output_file_id: str | None
    error_file_id: str | None
    paused_until: datetime | None
    moments: Moments

    @property
    def unfinished(self) -> bool:
        """Whether there is still something to do."""
        return self.status in UNFINISHED
