"""Second step: one chunk's lines are asked, and each result is stored as soon as it is there."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from shared.aws.transfers import ObjectChangedError, read_range
from shared.batch import chunks, records, results, transitions
from shared.batch.answering import Asking, NotAnswered
from shared.batch.chunks import Busy, Claim
from shared.batch.lines import BadLine, lines_of, read_request
from shared.batch.means import Means
from shared.batch.messages import WorkChunk
from shared.batch.models import Batch, Problem
from shared.batch.pace import Run, doubled
from shared.batch.result_lines import malformed, repeated
from shared.batch.results import Line, Waiting
from shared.errors import NotFoundError, UnavailableError
from shared.files.records import get_file
from shared.limits.unattended import unattended_caller

# What a failed try counts: more where others were answered, for then the line may be at fault.
_LINE_AT_FAULT, _OUTAGE = 2, 1

# Whether there is time to begin another line.
HasTime = Callable[[], bool]


async def work_chunk(means: Means, message: WorkChunk, has_time: HasTime) -> None:
    """Ask the lines of a chunk that wait; what cannot be asked now is sent again for later."""
    tenant_id, now = message.tenant_id, means.clock()
    async with means.database.tenant(tenant_id) as connection:
        batch = await records.find_batch(connection, message.batch_id)
        if batch is None or batch.status != "in_progress" or batch.moments.expires_at <= now:
            return
        paused = batch.paused_until is not None and batch.paused_until > now
        held = (
            None
            if paused
            else await chunks.claim(connection, batch.batch_id, message.chunk_number, now, means.rules.lease)
        )
    if paused:
        await means.send([message], at=batch.paused_until)
    elif isinstance(held, Busy):
        await means.send([message], at=held.until)
    elif held is not None:
        await _Work(means, batch, held, has_time).run(message)


@dataclass
class _Work:
    """The work on one chunk by whoever holds it."""

    means: Means
    batch: Batch
    held: Claim
    has_time: HasTime
    _run: Run = field(default_factory=Run)
    _again: list[Waiting] = field(default_factory=list)
    _later: bool = False
    _pending: list[Line] = field(default_factory=list)
    _landing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _broken: UnavailableError | None = None

    async def run(self, message: WorkChunk) -> None:
        """Ask, then let go of the chunk and send its message again if lines are left.

        Raises:
            UnavailableError: Results could not be stored; the message should come back.
        """
        caller = await unattended_caller(
            self.means.database, self.batch.tenant_id, self.batch.key_id, self.means.clock()
        )
        if caller is None:
            return await self._stop("key_revoked", "The key that made this batch was revoked or has expired.")
        try:
            lines = await self._lines()
        except (NotFoundError, ObjectChangedError):
            return await self._stop(
                "input_file_gone", "The input file was deleted or changed while the batch was under way."
            )
        asking = Asking(means=self.means, batch=self.batch, caller=caller)
        async with self.means.kept(self._renew) as self._over:
            await self._ask_all(asking, lines)
        if self._broken is not None:
            raise self._broken
        return await self._let_go(message, lines)

    async def _renew(self) -> bool:
        async with self.means.database.tenant(self.batch.tenant_id) as connection:
            standing = await chunks.renew(connection, self.held, self.means.clock(), self.means.rules.lease)
        return standing == "mine"

    async def _lines(self) -> dict[int, bytes]:
        chunk, etag = self.held.chunk, self.batch.input_etag or ""
        async with self.means.database.tenant(self.batch.tenant_id) as connection:
            file = await get_file(connection, self.batch.input_file_id)
        data = await read_range(self.means.objects, file.object_key, chunk.start, chunk.end, etag=etag)
        return dict(lines_of(data, chunk.first_line))

    async def _ask_all(self, asking: Asking, lines: dict[int, bytes]) -> None:
        async with self.means.database.tenant(self.batch.tenant_id) as connection:
            waiting = await results.waiting(connection, self.batch.batch_id, lines)
        # Who takes another line's answer comes when those of this chunk are there.
        await self._ask_each(asking, [line for line in waiting if line.same_as is None], lines)
        await self._ask_each(asking, [line for line in waiting if line.same_as is not None], lines)

    async def _ask_each(self, asking: Asking, waiting: Iterable[Waiting], lines: dict[int, bytes]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for line in waiting:
                await self.means.places.acquire()
                if not self._may_begin():
                    self.means.places.release()
                    break
                task = tasks.create_task(self._ask(asking, line, lines[line.number]))
                # Also when the task is cancelled before it begins.
                task.add_done_callback(lambda _: self.means.places.release())

    def _may_begin(self) -> bool:
        return self._run.pause is None and not self._over.is_set() and self.has_time()

    async def _ask(self, asking: Asking, line: Waiting, data: bytes) -> None:
        try:
            request = read_request(data, line.number, self.batch.endpoint)
            if isinstance(request, BadLine):
                # It made sense to the release that read the file.
                await self._land(self._malformed(line.number, request))
            elif not await self._taken(line, request.custom_id):
                await self._note(line, await asking.ask(line.number, request, len(data), line.tries))
        except UnavailableError as error:
            # The lines under way go on: what they are answered is in the cache, and costs nothing next time.
            self._broken = error
            self._over.set()

    async def _taken(self, line: Waiting, custom_id: str) -> bool:
        """Whether another line's answer is this one's too, or will be; if that failed, this one is asked."""
        if line.same_as is None:
            return False
        batch_id = self.batch.batch_id
        async with self.means.database.tenant(self.batch.tenant_id) as connection:
            (first,) = await results.read(connection, batch_id, line.same_as, line.same_as)
        if first.status == "completed" and first.result is not None:
            result = repeated(first.result, batch_id, line.number, custom_id)
            await self._land(Line(number=line.number, custom_id=custom_id, status="completed", result=result))
        elif first.status == "waiting":
            self._later = True
        return first.status != "failed"

    def _malformed(self, number: int, bad: BadLine) -> Line:
        result = malformed(self.batch.batch_id, number, bad.custom_id, bad.problem)
        return Line(number=number, custom_id=bad.custom_id, status="failed", result=result)

    async def _note(self, line: Waiting, found: Line | NotAnswered) -> None:
        if isinstance(found, Line):
            self._run.completed()
            await self._land(found)
            return
        self._run.failed(found.error, found.verdict)
        if found.verdict == "again":
            self._again.append(line)

    async def _land(self, line: Line) -> None:
        """Store a result, together with those that came while others were stored."""
        self._pending.append(line)
        async with self._landing:
            landing, self._pending = self._pending, []
            if not landing:
                return
            try:
                async with self.means.database.tenant(self.batch.tenant_id) as connection:
                    if not await results.land(connection, self.held, landing):
                        self._over.set()
            except BaseException:
                self._pending = landing + self._pending
                raise

    async def _let_go(self, message: WorkChunk, numbers: Iterable[int]) -> None:
        now, pause = self.means.clock(), self._run.pause
        async with self.means.database.tenant(self.batch.tenant_id) as connection:
            left = await results.waiting(connection, self.batch.batch_id, list(numbers))
            again = now + self._delay() if self._again or self._later else now
            if self._again:
                weight = _LINE_AT_FAULT if pause is None else _OUTAGE
                failed = [line.number for line in self._again]
                await results.note_tries(connection, self.batch.batch_id, failed, weight)
            if pause is not None:
                again = await transitions.pause(
                    connection, self.batch.batch_id, pause, self.means.rules.pause_seconds, now
                )
            elif self._run.answered and self.batch.paused_until is not None:
                await transitions.resume(connection, self.batch.batch_id)
            await chunks.release(connection, self.held, done=not left, sent_at=again if left else None)
        if left and not self._over.is_set():
            await self.means.send([message], at=again)

    def _delay(self) -> timedelta:
        tries = max((line.tries for line in self._again), default=0) // _LINE_AT_FAULT
        return doubled(self.means.rules.pause_seconds, tries)

    async def _stop(self, code: str, message: str) -> None:
        problem = Problem(code=code, message=message)
        async with self.means.database.tenant(self.batch.tenant_id) as connection:
            await transitions.stop(connection, self.batch.batch_id, problem, self.means.clock())
            await chunks.release(connection, self.held, done=False, sent_at=None)
