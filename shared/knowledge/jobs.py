"""An ingestion job, which is a row of `vector_store_files`, and what a worker may know of it.

A job is in progress until it is completed, failed or cancelled. A worker claims it for the time of a lease,
which it renews; when the worker dies, the lease ends and the job can be claimed again (`job_lease`). A result
is taken only from the worker whose lease it is (`job_end`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, LiteralString, TypeVar
from uuid import UUID

from shared.documents.document import FailureCode
from shared.knowledge.messages import IngestFile, IngestPart
from shared.postgres.database import Connection

J = TypeVar("J", bound=IngestFile | IngestPart)

# Why a job is not worked on now. `gone`: it is not there any more; `finished`: it is completed, failed or
# cancelled; `awaiting_upload`: the upload will ask again; `busy`: another worker has it, so ask again later;
# `exhausted`: it was tried too often, and has been failed now.
Refusal = Literal["gone", "finished", "awaiting_upload", "busy", "exhausted"]

_NO_REASON = "Its worker stopped without saying why, as it does when time or memory runs out."

# Every statement about a job calls its row `f`.
THIS: LiteralString = """
    WHERE f.tenant_id = %(tenant_id)s AND f.vector_store_id = %(vector_store_id)s
      AND f.file_id = %(file_id)s"""


class LeaseLostError(Exception):
    """The job was cancelled, removed, or given to another worker meanwhile. Roll back, and leave it."""


@dataclass(frozen=True)
class Condition:
    """How a job must stand for something to be written of it: an SQL condition and its values."""

    job: IngestFile
    where: LiteralString
    values: Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Leased(Generic[J]):
    """The right to work on a job until the lease ends. `chunk_tokens` is the size of its chunks."""

    job: J
    lease_id: UUID
    attempt: int
    filename: str
    object_key: str
    embedding_model: str
    dimensions: int
    chunk_tokens: int


@dataclass(frozen=True)
class Staged:
    """A version of the file that is being ingested in parts, and the object that the parts are of."""

    version: int
    object_etag: str


@dataclass(frozen=True, kw_only=True)
class Claim(Leased[IngestFile]):
    """The right to work on a file.

    `content_sha256` is of the bytes that the chunks which are there, if any, were made of, and `unread_pages`
    are pages of these that nobody could read.
    """

    media_type: str | None
    content_sha256: str | None
    chunk_count: int
    usage_bytes: int
    unread_pages: Sequence[int]
    staged: Staged | None

    @property
    def held(self) -> Condition:
        """The lease is still the worker's."""
        where = THIS + " AND f.status = 'in_progress' AND f.lease_id = %(lease_id)s"
        return Condition(self.job, where, {**self.job.model_dump(), "lease_id": self.lease_id})


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a job failed. `message` is for the person whose file it is.

    `content_sha256` is of the bytes at fault, if they are: they are not tried again.
    """

    code: FailureCode | Literal["server_error"]
    message: str
    content_sha256: str | None = None


def gave_up(tries: str, reason: str | None) -> Failure:
    """The failure of a job that was tried too often: "after 4 tries"."""
    return Failure(code="server_error", message=f"Weir gave up {tries}. {reason or _NO_REASON}")


def staged(part: IngestPart) -> Condition:
    """The part's version is still the staged one of a job in progress."""
    where = THIS + " AND f.status = 'in_progress' AND f.staged_version = %(version)s"
    return Condition(part.file, where, {**part.file.model_dump(), "version": part.version})


async def update(
    connection: Connection, condition: Condition, change: LiteralString, values: Mapping[str, object]
) -> bool:
    """Change the job's row, if it stands so; whether it did. Belongs into a transaction of the tenant."""
    cursor = await connection.execute(
        "UPDATE vector_store_files f SET " + change + condition.where,  # noqa: S608 - made of constants
        {**condition.values, **values},
    )
    return cursor.rowcount == 1
