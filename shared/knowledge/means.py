"""What ingestion works with, and how it goes about its work."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.errors import WeirError
from shared.knowledge.embedding import Embedding
from shared.knowledge.reading import Reading
from shared.postgres.database import Database
from shared.providers.failures import UpstreamFailure
from shared.telemetry import Logger

# What is counted: chunks written, those of them whose vector was known, and bytes that were read.
Counted = Literal["ChunksWritten", "VectorsReused", "BytesRead"]


class JobBusyError(Exception):
    """Another worker has the job, or had it when it died: let the message come back later."""


@dataclass(frozen=True, kw_only=True)
class IngestionLimits:
    """How ingestion goes about its work.

    A lease that is not renewed for `lease` ends. `embedding_batch` texts are embedded by one call, and
    `embedding_calls` calls run at once. Larger objects than `max_bytes` are not read. A change of embedding
    model goes on by `reembedded_chunks` a message.
    """

    lease: timedelta = timedelta(seconds=60)
    max_attempts: int = 4
    embedding_batch: int = 64
    embedding_calls: int = 4
    max_bytes: int = 2 * 2**30
    reembedded_chunks: int = 1024


@dataclass(frozen=True, kw_only=True)
class Means:
    """The parts that every kind of ingestion uses. `queue` is that of ingestion itself."""

    database: Database
    objects: Objects
    queue: Queue
    reading: Reading
    embedding: Embedding
    limits: IngestionLimits
    clock: Callable[[], datetime]
    count: Callable[[Counted, int], None]
    log: Logger


def reason_of(error: Exception) -> str:
    """For the person whose file it is: Weir's own messages are made for that, others may hold anything."""
    if isinstance(error, UpstreamFailure):
        error = error.for_caller()
    return error.message if isinstance(error, WeirError) else f"The last one ended in {type(error).__name__}."
