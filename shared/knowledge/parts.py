"""One part of a file that is being ingested, which is a row of `ingestion_parts`.

A part may be worked on as long as its version is the staged one of a job in progress; `part_lease` gives it
to one worker at a time, and `part_end` takes what that one has written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

from shared.documents.parts import Plan
from shared.knowledge.index import Written
from shared.knowledge.jobs import Leased
from shared.knowledge.messages import IngestPart
from shared.knowledge.rows import Place
from shared.postgres.database import Connection

# Every statement about a part calls its row `p`.
VERSION: LiteralString = """
    p.tenant_id = %(tenant_id)s AND p.vector_store_id = %(vector_store_id)s AND p.file_id = %(file_id)s
    AND p.version = %(version)s"""
THIS: LiteralString = f"{VERSION} AND p.part = %(part)s"


@dataclass(frozen=True, kw_only=True)
class PartClaim(Leased[IngestPart]):
    """The right to work on a part. `plan` is that of the file, whose bytes the other two fields name."""

    object_etag: str
    content_sha256: str
    plan: Plan

    @property
    def place(self) -> Place:
        """Where its chunks belong."""
        return Place(**self.job.model_dump())


@dataclass(frozen=True)
class WrittenPart:
    """What was written of a part: its chunks, the characters of its text, and the pages nobody could read."""

    written: Written
    characters: int
    unread_pages: Sequence[int]


async def update_held(
    connection: Connection, held: PartClaim, change: LiteralString, values: Mapping[str, object]
) -> bool:
    """Change the part's row; false if the lease is not the worker's any more."""
    cursor = await connection.execute(
        f"UPDATE ingestion_parts p SET {change} WHERE {THIS} AND p.status = 'queued'"  # noqa: S608 - constants
        " AND p.lease_id = %(lease_id)s",
        {**held.job.model_dump(), "lease_id": held.lease_id, **values},
    )
    return cursor.rowcount == 1
