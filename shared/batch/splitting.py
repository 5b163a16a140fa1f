"""First step: the input file becomes lines and chunks. Done anew from the start if its worker dies."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import UUID

from shared.aws.transfers import ObjectChangedError, read_blocks, version_of
from shared.batch import transitions
from shared.batch.chunks import Chunk, add_chunks
from shared.batch.lease import claimed
from shared.batch.lines import BadLine, LineTooLongError, RawLine, Request, raw_lines, read_request
from shared.batch.means import BatchRules, Means
from shared.batch.models import Batch, Input, Problem
from shared.batch.result_lines import malformed
from shared.batch.results import Line, add_lines
from shared.cache.exact_key import exact_key
from shared.errors import NotFoundError
from shared.files.models import StoredFile
from shared.files.records import get_file

# Lines written by one statement.
_ROWS = 500

# Problems that the batch itself shows; the error file has all.
_SHOWN = 20


class _UnusableError(Exception):
    def __init__(self, code: str, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.problem = Problem(code=code, message=message, line=line)


async def split(means: Means, batch: Batch) -> bool:
    """Read the whole file; then the batch is in progress, or has failed. False if another does it now."""
    if (lease := await claimed(means, batch)) is None:
        return False
    async with lease.kept():
        try:
            found = await _read(means, batch)
        except _UnusableError as error:
            await _fail(means, batch, lease.lease_id, error.problem)
            return True
    async with means.database.tenant(batch.tenant_id) as connection:
        if not await transitions.begin(connection, batch.batch_id, lease.lease_id, found, means.clock()):
            # Cancelled meanwhile.
            await transitions.release(connection, batch.batch_id, lease.lease_id)
    return True


async def _fail(means: Means, batch: Batch, lease_id: UUID, problem: Problem) -> None:
    async with means.database.tenant(batch.tenant_id) as connection:
        await transitions.fail(connection, batch.batch_id, lease_id, problem, means.clock())


async def _read(means: Means, batch: Batch) -> Input:
    try:
        file = await _input(means, batch)
        size, etag = await version_of(means.objects, file.object_key)
        if size > means.rules.file_bytes:
            limit = f"{means.rules.file_bytes:,} bytes"
            raise _UnusableError("file_too_large", f"The input file may have up to {limit}; split it.")
        blocks = read_blocks(means.objects, file.object_key, size, etag=etag)
        return await _Splitting(means, batch, etag).run(blocks)
    except (NotFoundError, ObjectChangedError) as error:
        raise _UnusableError(
            "input_file_gone", "The input file was deleted or changed while it was read; upload it again."
        ) from error
    except LineTooLongError as error:
        limit = f"{means.rules.line_bytes:,} bytes"
        raise _UnusableError(
            "line_too_long", f"Line {error.number} has more than {limit}.", error.number
        ) from error


async def _input(means: Means, batch: Batch) -> StoredFile:
    async with means.database.tenant(batch.tenant_id) as connection:
        return await get_file(connection, batch.input_file_id)


@dataclass
class _Splitting:
    """What is known so far of a file that is being read."""

    means: Means
    batch: Batch
    etag: str
    _ids: set[str] = field(default_factory=set)
    _firsts: dict[str, int] = field(default_factory=dict)
    _problems: list[Problem] = field(default_factory=list)
    _models: set[str] = field(default_factory=set)
    _lines: list[Line] = field(default_factory=list)
    _chunks: list[Chunk] = field(default_factory=list)
    _chunk: "_ChunkInTheMaking | None" = None
    _count: int = 0
    _chunk_count: int = 0

    async def run(self, blocks: AsyncIterator[bytes]) -> Input:
        """Read all."""
        rules = self.means.rules
        async for raw in raw_lines(blocks, limit=rules.line_bytes):
            self._count += 1
            if self._count > rules.line_limit:
                limit = f"{rules.line_limit:,} requests"
                raise _UnusableError(
                    "too_many_requests", f"The input file may have up to {limit}; split it.", raw.number
                )
            self._take(raw)
            if len(self._lines) >= _ROWS:
                await self._write()
        if not self._count:
            raise _UnusableError("empty_file", "The input file has no line.")
        self._close_chunk()
        await self._write()
        model = next(iter(self._models)) if len(self._models) == 1 else None
        return Input(etag=self.etag, model=model, problems=self._problems)

    def _take(self, raw: RawLine) -> None:
        found = read_request(raw.data, raw.number, self.batch.endpoint)
        if not isinstance(found, BadLine) and found.custom_id in self._ids:
            message = f"Line {raw.number} has the same 'custom_id' as a line before it: {found.custom_id!r}."
            problem = Problem(code="duplicate_custom_id", message=message, param="custom_id", line=raw.number)
            found = BadLine(custom_id=found.custom_id, problem=problem)
        if isinstance(found, BadLine):
            self._refuse(raw, found)
            return
        self._ids.add(found.custom_id)
        self._models.add(found.request.model)
        self._lines.append(
            Line(
                number=raw.number,
                custom_id=found.custom_id,
                status="waiting",
                same_as=self._first(raw.number, found),
            )
        )
        if self._chunk is None:
            self._chunk = _ChunkInTheMaking(raw.number, raw.start)
        self._chunk.take(raw)
        if self._chunk.full(self.means.rules):
            self._close_chunk()

    def _first(self, number: int, found: Request) -> int | None:
        """The line before that asks the same. Chat has a cache for that, which a key may have turned off."""
        if self.batch.endpoint != "/v1/embeddings":
            return None
        key = exact_key(found.body, tenant_id=self.batch.tenant_id, model=found.request.model)
        first = self._firsts.setdefault(key, number)
        return None if first == number else first

    def _refuse(self, raw: RawLine, bad: BadLine) -> None:
        if len(self._problems) < _SHOWN:
            self._problems.append(bad.problem)
        result = malformed(self.batch.batch_id, raw.number, bad.custom_id, bad.problem)
        self._lines.append(Line(number=raw.number, custom_id=bad.custom_id, status="failed", result=result))

    def _close_chunk(self) -> None:
        if self._chunk is not None:
            self._chunk_count += 1
            self._chunks.append(self._chunk.chunk(self._chunk_count))
            self._chunk = None

    async def _write(self) -> None:
        tenant_id, batch_id = self.batch.tenant_id, self.batch.batch_id
        async with self.means.database.tenant(tenant_id) as connection:
            await add_lines(connection, tenant_id, batch_id, self._lines)
            await add_chunks(connection, tenant_id, batch_id, self._chunks)
        self._lines, self._chunks = [], []


@dataclass
class _ChunkInTheMaking:
    first_line: int
    start: int
    end: int = 0
    lines: int = 0

    def take(self, raw: RawLine) -> None:
        self.end = raw.end
        self.lines += 1

    def full(self, rules: BatchRules) -> bool:
        return self.lines >= rules.chunk_lines or self.end - self.start >= rules.chunk_bytes

    def chunk(self, number: int) -> Chunk:
        return Chunk(number=number, first_line=self.first_line, start=self.start, end=self.end)
