"""Lines of a batch and their results. Every function runs in a transaction of the tenant.

A result lands once: only a line that waits takes one, and only until the batch's files are being written.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from shared.batch.chunks import Claim
from shared.postgres.database import Connection

LineStatus = Literal["waiting", "completed", "failed"]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line. `result` is its line of the output or error file; `None` while it waits.

    `same_as` is the number of the first line that asks the same, where one answer is for both.
    """

    number: int
    custom_id: str | None
    status: LineStatus
    result: str | None = None
    same_as: int | None = None


@dataclass(frozen=True)
class Waiting:
    """A line that waits, and how often it failed upstream."""

    number: int
    tries: int
    same_as: int | None


async def add_lines(connection: Connection, tenant_id: str, batch_id: str, lines: Sequence[Line]) -> None:
    """Add lines; those that are there stay."""
    await connection.execute(
        """
        INSERT INTO batch_lines (tenant_id, batch_id, line_number, custom_id, status, result, same_as)
        SELECT %s, %s, * FROM unnest(%s::integer[], %s::text[], %s::text[], %s::text[], %s::integer[])
        ON CONFLICT DO NOTHING
        """,
        (
            tenant_id,
            batch_id,
            [line.number for line in lines],
            [line.custom_id for line in lines],
            [line.status for line in lines],
            [line.result for line in lines],
            [line.same_as for line in lines],
        ),
    )


async def waiting(connection: Connection, batch_id: str, numbers: Collection[int]) -> list[Waiting]:
    """Those of these lines that wait, in order."""
    cursor = await connection.execute(
        """
        SELECT line_number, tries, same_as FROM batch_lines
        WHERE batch_id = %s AND line_number = ANY(%s) AND status = 'waiting' ORDER BY line_number
        """,
        (batch_id, list(numbers)),
    )
    return [Waiting(row["line_number"], row["tries"], row["same_as"]) for row in await cursor.fetchall()]


async def land(connection: Connection, held: Claim, lines: Sequence[Line]) -> bool:
    """Store results, each unless its line has one. False: the batch takes no more."""
    cursor = await connection.execute(
        "SELECT 1 FROM batches WHERE batch_id = %s AND NOT closed FOR SHARE", (held.batch_id,)
    )
    if await cursor.fetchone() is None:
        return False
    cursor = await connection.execute(
        """
        UPDATE batch_lines l SET status = r.status, result = r.result
        FROM unnest(%s::integer[], %s::text[], %s::text[]) AS r (line_number, status, result)
        WHERE l.batch_id = %s AND l.line_number = r.line_number AND l.status = 'waiting'
        RETURNING l.status
        """,
        (
            [line.number for line in lines],
            [line.status for line in lines],
            [line.result for line in lines],
            held.batch_id,
        ),
    )
    landed = [row["status"] for row in await cursor.fetchall()]
    await connection.execute(
        "UPDATE batch_chunks SET completed = completed + %s, failed = failed + %s"
        " WHERE batch_id = %s AND chunk_number = %s",
        (landed.count("completed"), landed.count("failed"), held.batch_id, held.chunk.number),
    )
    return True


async def note_tries(connection: Connection, batch_id: str, numbers: Collection[int], weight: int) -> None:
    """Count one more failed try for each of these lines."""
    await connection.execute(
        "UPDATE batch_lines SET tries = tries + %s WHERE batch_id = %s AND line_number = ANY(%s)",
        (weight, batch_id, list(numbers)),
    )


async def count_by_status(connection: Connection, batch_id: str) -> dict[LineStatus, int]:
    """How many lines there are in each status."""
    cursor = await connection.execute(
        "SELECT status, count(*) AS lines FROM batch_lines WHERE batch_id = %s GROUP BY status", (batch_id,)
    )
    counts: dict[LineStatus, int] = {"waiting": 0, "completed": 0, "failed": 0}
    counts.update({row["status"]: row["lines"] for row in await cursor.fetchall()})
    return counts


async def sizes(connection: Connection, batch_id: str, *, after: int, limit: int) -> list[tuple[int, int]]:
    """Numbers of the lines after `after`, in order, each with the bytes of its result."""
    cursor = await connection.execute(
        """
        SELECT line_number, coalesce(octet_length(result), 0) AS bytes FROM batch_lines
        WHERE batch_id = %s AND line_number > %s ORDER BY line_number LIMIT %s
        """,
        (batch_id, after, limit),
    )
    return [(row["line_number"], row["bytes"]) for row in await cursor.fetchall()]


async def read(connection: Connection, batch_id: str, first: int, last: int) -> list[Line]:
    """The lines from `first` to `last`, in order."""
    cursor = await connection.execute(
        """
        SELECT line_number, custom_id, status, result FROM batch_lines
        WHERE batch_id = %s AND line_number BETWEEN %s AND %s ORDER BY line_number
        """,
        (batch_id, first, last),
    )
    return [
        Line(
            number=row["line_number"],
            custom_id=row["custom_id"],
            status=row["status"],
            result=row["result"],
        )
        for row in await cursor.fetchall()
    ]
