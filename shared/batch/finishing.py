"""Last step: results become the output and the error file, line by line in the input's order.

Nothing lands any more when this begins, so whoever does it again writes the same bytes under the same keys.
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import UUID

from shared.aws.transfers import ObjectWriter
from shared.batch import results, transitions
from shared.batch.lease import claimed
from shared.batch.means import Means
from shared.batch.models import Batch, Counts
from shared.batch.result_lines import not_asked, usage_of
from shared.batch.results import Line, LineStatus
from shared.errors import NotFoundError
from shared.files.models import NewFile, StoredFile
from shared.files.records import create_file, get_file, mark_uploaded
from shared.postgres.database import Connection
from shared.providers.tokens import TokenUsage

_MEDIA_TYPE = "application/jsonl"

# Results held at a time, in bytes; a larger one is held alone.
_PAGE_BYTES = 4 * 2**20
_PAGE_LINES = 1000


class _LostError(Exception):
    """Another finishes the batch now."""


async def finish(means: Means, batch: Batch) -> bool:
    """Write the files and end the batch. False if another does it now."""
    if (lease := await claimed(means, batch)) is None:
        return False
    try:
        async with lease.kept():
            await _write(means, batch, lease.lease_id)
    except _LostError:
        return False
    return True


async def _write(means: Means, batch: Batch, lease_id: UUID) -> None:
    async with means.database.tenant(batch.tenant_id) as connection:
        counts = await results.count_by_status(connection, batch.batch_id)
        output, errors = await _files(connection, means, batch, counts)
    expired, usage = batch.status != "cancelling", TokenUsage()
    async with AsyncExitStack() as stack:
        writers = [
            None
            if file is None
            else await stack.enter_async_context(ObjectWriter(means.objects, file.object_key, _MEDIA_TYPE))
            for file in (output, errors)
        ]
        async for line in _lines(means, batch):
            writer = writers[0] if line.status == "completed" else writers[1]
            assert writer is not None  # noqa: S101 - there is a file for every status that a line has
            text = line.result or not_asked(batch.batch_id, line.number, line.custom_id, expired=expired)
            await writer.write(text.encode() + b"\n")
            if line.status == "completed":
                usage += usage_of(text)
    async with means.database.tenant(batch.tenant_id) as connection:
        for file, writer in zip((output, errors), writers, strict=True):
            if file is not None and writer is not None:
                await mark_uploaded(connection, file.file_id, writer.size)
        await _end(connection, means, batch, lease_id, counts, usage)


async def _end(
    connection: Connection,
    means: Means,
    batch: Batch,
    lease_id: UUID,
    counts: dict[LineStatus, int],
    usage: TokenUsage,
) -> None:
    how: transitions.End = "completed"
    if batch.status == "cancelling":
        how = "cancelled"
    elif counts["waiting"]:
        how = "expired"
    totals = Counts(total=sum(counts.values()), completed=counts["completed"], failed=counts["failed"])
    if not await transitions.end(connection, batch.batch_id, lease_id, how, totals, usage, means.clock()):
        raise _LostError
    await transitions.forget_lines(connection, batch.batch_id)


async def _files(
    connection: Connection, means: Means, batch: Batch, counts: dict[LineStatus, int]
) -> tuple[StoredFile | None, StoredFile | None]:
    """The two files' records, each if it will have a line: those of an earlier try, or new ones."""
    output = errors = None
    if counts["completed"]:
        output = await _file(connection, means, batch, batch.output_file_id, "output")
    if counts["failed"] or counts["waiting"]:
        errors = await _file(connection, means, batch, batch.error_file_id, "error")
    named = [None if file is None else file.file_id for file in (output, errors)]
    await transitions.name_files(connection, batch.batch_id, *named)
    return output, errors


async def _file(
    connection: Connection, means: Means, batch: Batch, known: str | None, kind: str
) -> StoredFile:
    if known is not None:
        try:
            return await get_file(connection, known)
        except NotFoundError:
            means.log.info("a file was deleted while it was written", extra={"file_id": known})
    now, kept = means.clock(), batch.output_expires_after
    new = NewFile(
        tenant_id=batch.tenant_id,
        filename=f"{batch.batch_id}_{kind}.jsonl",
        purpose="batch_output",
        media_type=_MEDIA_TYPE,
        expires_at=None if kept is None else now + timedelta(seconds=kept),
    )
    return await create_file(connection, new, now)


async def _lines(means: Means, batch: Batch) -> AsyncIterator[Line]:
    """All lines in order, a few megabytes at a time."""
    after = 0
    while True:
        async with means.database.tenant(batch.tenant_id) as connection:
            sizes = await results.sizes(connection, batch.batch_id, after=after, limit=_PAGE_LINES)
        if not sizes:
            return
        for first, last in pages(sizes, _PAGE_BYTES):
            async with means.database.tenant(batch.tenant_id) as connection:
                page = await results.read(connection, batch.batch_id, first, last)
            for line in page:
                yield line
        after = sizes[-1][0]


def pages(sizes: Iterable[tuple[int, int]], limit: int) -> Iterator[tuple[int, int]]:
    """First and last number of runs of lines that have `limit` bytes at most, or are one line."""
    first = last = None
    held = 0
    for number, size in sizes:
        if first is not None and last is not None and held + size > limit:
            yield first, last
            first, held = None, 0
        first, last, held = number if first is None else first, number, held + size
    if first is not None and last is not None:
        yield first, last
