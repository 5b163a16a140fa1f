"""Batches as OpenAI's SDK sends and expects them (openai/types/batch.py, batch_create_params.py)."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from api.schemas.fields import BatchId, FileId, Item, Metadata, RequestModel
from api.schemas.files import FileExpiry, unix
from shared.batch.models import Batch, Endpoint, Problem, Status
from shared.postgres.pages import PageRequest
from shared.providers.tokens import TokenUsage


class CreateBatchRequest(RequestModel):
    """POST /v1/batches."""

    input_file_id: FileId
    endpoint: Endpoint
    completion_window: Literal["24h"]
    metadata: Metadata | None = None
    output_expires_after: FileExpiry | None = None


class BatchListQuery(RequestModel):
    """Parameters of the list of batches; the bounds are OpenAI's."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    after: BatchId | None = None

    @property
    def page_request(self) -> PageRequest:
        """The part that is wanted."""
        return PageRequest(limit=self.limit, after=self.after)


class BatchErrors(BaseModel):
    """What is wrong, line by line where it is a line."""

    object: Literal["list"] = "list"
    data: list[Problem]


class RequestCounts(BaseModel):
    """How many lines there are, and how many are done. They grow while the batch runs."""

    total: int
    completed: int
    failed: int


class InputTokens(BaseModel):
    """Of the tokens that were read."""

    cached_tokens: int


class OutputTokens(BaseModel):
    """Of the tokens that were written."""

    reasoning_tokens: int


class BatchUsage(BaseModel):
    """What the answers of the output file took, as they say themselves."""

    input_tokens: int
    input_tokens_details: InputTokens
    output_tokens: int
    output_tokens_details: OutputTokens
    total_tokens: int


class BatchObject(Item):
    """OpenAI's batch object."""

    object: Literal["batch"] = "batch"
    endpoint: Endpoint
    errors: BatchErrors | None
    input_file_id: str
    completion_window: Literal["24h"] = "24h"
    status: Status
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    in_progress_at: int | None
    expires_at: int
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: RequestCounts
    model: str | None
    usage: BatchUsage | None
    metadata: dict[str, str] | None


def batch_object(batch: Batch) -> BatchObject:
    """A batch as it is shown; files that are still written are not."""
    moments: dict[str, Any] = {
        name: None if moment is None else unix(moment) for name, moment in vars(batch.moments).items()
    }
    return BatchObject(
        id=batch.batch_id,
        endpoint=batch.endpoint,
        errors=BatchErrors(data=list(batch.errors)) if batch.errors else None,
        input_file_id=batch.input_file_id,
        status=batch.status,
        output_file_id=None if batch.unfinished else batch.output_file_id,
        error_file_id=None if batch.unfinished else batch.error_file_id,
        request_counts=RequestCounts(
            total=batch.counts.total, completed=batch.counts.completed, failed=batch.counts.failed
        ),
        model=batch.model,
        usage=None if batch.usage is None else _usage(batch.usage),
        metadata=None if batch.metadata is None else dict(batch.metadata),
        **moments,
    )


def _usage(usage: TokenUsage) -> BatchUsage:
    return BatchUsage(
        input_tokens=usage.prompt,
        input_tokens_details=InputTokens(cached_tokens=usage.cached),
        output_tokens=usage.completion,
        output_tokens_details=OutputTokens(reasoning_tokens=usage.reasoning),
        total_tokens=usage.total,
    )
