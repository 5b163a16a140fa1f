"""Makes a stored file searchable in one store: fetch, parse, keep its text, chunk, embed, write.

Everything before the last step may be done twice without harm, and the last is one transaction; so a message
that comes twice, or a worker that dies, doubles nothing.
"""

import asyncio
import hashlib
from array import array
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import Literal

from shared.aws.objects import Objects
from shared.documents.document import Document, UnreadableDocumentError
from shared.documents.parse import parse
from shared.errors import NotFoundError, WeirError
from shared.files.keys import text_key
from shared.knowledge import jobs
from shared.knowledge.chunk import Chunk, chunk
from shared.knowledge.embedder import Embedder
from shared.knowledge.index import Written, replace_chunks
from shared.knowledge.jobs import Claim, Failure, LeaseLostError, Refusal
from shared.knowledge.messages import IngestFile
from shared.postgres.database import Database
from shared.providers.failures import UpstreamFailure
from shared.telemetry import Logger

# `unchanged`: the chunks that are there are of the same bytes. `superseded`: the job was cancelled, removed
# or given to another worker meanwhile.
Outcome = Literal["completed", "unchanged", "failed", "superseded"] | Refusal


class JobBusyError(Exception):
    """Another worker has the job, or had it when it died: let the message come back later."""


@dataclass(frozen=True, kw_only=True)
class IngestionLimits:
    """How ingestion goes about its work.

    A lease that is not renewed for `lease` ends. `embedding_batch` texts are embedded by one call, and
    `embedding_calls` calls run at once. Larger objects than `max_bytes` are not read.
    """

    lease: timedelta = timedelta(seconds=60)
    max_attempts: int = 4
    embedding_batch: int = 64
    embedding_calls: int = 4
    max_bytes: int = 512 * 2**20


class Ingestion:
    """The ingestion of files, one job at a time or several at once."""

    def __init__(
        self,
        database: Database,
        objects: Objects,
        embedder_of: Callable[[str], Embedder],
        *,
        limits: IngestionLimits,
        clock: Callable[[], datetime],
        log: Logger,
    ) -> None:
        """Args:
        embedder_of: What embeds for a tenant, at the tenant's cost.
        """
        self._database = database
        self._objects = objects
        self._embedder_of = embedder_of
        self._limits = limits
        self._clock = clock
        self._log = log

    async def run(self, job: IngestFile) -> Outcome:
        """Do the job, unless it is done or not to be done.

        A file that cannot be read fails the job for good, with the reason. Any other failure ends the lease
        and is raised, so that the message comes back; at the last attempt it fails the job instead.

        Raises:
            JobBusyError: Let the message come back.
        """
        try:
            claim = await self._claim(job)
        except LeaseLostError:
            return "superseded"
        if not isinstance(claim, Claim):
            if claim == "busy":
                raise JobBusyError(f"{job.file_id} in {job.vector_store_id} is being ingested.")
            return claim
        try:
            async with self._renewed(claim):
                return await self._carry_out(claim)
        except LeaseLostError:
            return "superseded"
        except asyncio.CancelledError:
            await asyncio.shield(self._give_back(claim, "Its worker was stopped."))
            raise
        except Exception as error:
            if await self._give_back(claim, _reason(error)) == "failed":
                self._log.exception("ingestion failed for good", extra=job.model_dump())
                return "failed"
            raise

    async def _claim(self, job: IngestFile) -> Claim | Refusal:
        async with self._database.tenant(job.tenant_id) as connection:
            return await jobs.claim(
                connection,
                job,
                self._clock(),
                self._limits.lease,
                max_attempts=self._limits.max_attempts,
            )

    async def _carry_out(self, claim: Claim) -> Outcome:
        try:
            data = await self._fetch(claim)
        except UnreadableDocumentError as error:
            return await self._fail(claim, error, None)
        sha256 = await asyncio.to_thread(_sha256, data)
        if claim.chunk_count and claim.content_sha256 == sha256:
            await self._complete_unchanged(claim, sha256)
            return "unchanged"
        try:
            document, chunks = await asyncio.to_thread(_read, data, claim.filename, claim.media_type)
        except UnreadableDocumentError as error:
            return await self._fail(claim, error, sha256)
        key = text_key(claim.job.tenant_id, claim.job.file_id)
        await self._objects.put(key, document.text.encode(), "text/markdown; charset=utf-8")
        embeddings = await self._embed(claim, chunks)
        await self._write(claim, chunks, embeddings, sha256)
        return "completed"

    async def _fetch(self, claim: Claim) -> bytes:
        try:
            size = (await self._objects.info(claim.object_key)).size
            if size > self._limits.max_bytes:
                message = f"The file has {size:,} bytes; at most {self._limits.max_bytes:,} are read."
                raise UnreadableDocumentError("invalid_file", message)
            return await self._objects.get(claim.object_key)
        except NotFoundError as error:
            message = "The file's bytes are not in storage any more. Upload it again."
            raise UnreadableDocumentError("invalid_file", message) from error

    async def _embed(self, claim: Claim, chunks: Sequence[Chunk]) -> list[Sequence[float]]:
        embedder = self._embedder_of(claim.job.tenant_id)
        places = asyncio.Semaphore(self._limits.embedding_calls)
        size = self._limits.embedding_batch

        async def embed(start: int) -> list[Sequence[float]]:
            async with places:
                texts = [piece.indexed_text for piece in chunks[start : start + size]]
                vectors = await embedder.embed(claim.embedding_model, texts)
            # A list takes 32 bytes a number, an array four: a long file has thousands of vectors.
            return [array("f", vector) for vector in vectors]

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(embed(start)) for start in range(0, len(chunks), size)]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        return [vector for task in tasks for vector in task.result()]

    async def _write(
        self, claim: Claim, chunks: Sequence[Chunk], embeddings: Sequence[Sequence[float]], sha256: str
    ) -> None:
        async with self._database.tenant(claim.job.tenant_id) as connection:
            if not await jobs.holds(connection, claim):
                raise LeaseLostError
            written = await replace_chunks(
                connection, **claim.job.model_dump(), chunks=chunks, embeddings=embeddings
            )
            await jobs.complete(connection, claim, written, sha256, self._clock())

    async def _complete_unchanged(self, claim: Claim, sha256: str) -> None:
        async with self._database.tenant(claim.job.tenant_id) as connection:
            written = Written(claim.chunk_count, claim.usage_bytes)
            await jobs.complete(connection, claim, written, sha256, self._clock())

    async def _fail(
        self, claim: Claim, error: UnreadableDocumentError, sha256: str | None
    ) -> Literal["failed"]:
        failure = Failure(code=error.code, message=error.message, content_sha256=sha256)
        async with self._database.tenant(claim.job.tenant_id) as connection:
            await jobs.fail(connection, claim, failure)
        return "failed"

    async def _give_back(self, claim: Claim, reason: str) -> Literal["again", "failed"]:
        try:
            async with self._database.tenant(claim.job.tenant_id) as connection:
                return await jobs.give_back(
                    connection, claim, reason, self._clock(), max_attempts=self._limits.max_attempts
                )
        except (WeirError, LeaseLostError):
            # The lease ends by itself, and the message comes back.
            self._log.warning("lease not given back", exc_info=True, extra=claim.job.model_dump())
            return "again"

    @asynccontextmanager
    async def _renewed(self, claim: Claim) -> AsyncIterator[None]:
        heartbeat = asyncio.create_task(self._renew(claim))
        try:
            yield
        finally:
            heartbeat.cancel()
            await asyncio.wait([heartbeat])

    async def _renew(self, claim: Claim) -> None:
        held = True
        while held:
            await asyncio.sleep(self._limits.lease.total_seconds() / 3)
            try:
                async with self._database.tenant(claim.job.tenant_id) as connection:
                    held = await jobs.renew(connection, claim, self._clock(), self._limits.lease)
            except WeirError:
                # Tried again in a moment; if the lease ends meanwhile, the result will be refused.
                self._log.warning("lease not renewed", exc_info=True, extra=claim.job.model_dump())


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(data: bytes, filename: str, media_type: str | None) -> tuple[Document, list[Chunk]]:
    document = parse(data, filename, media_type)
    return document, chunk(replace(document, title=document.title or PurePath(filename).stem))


def _reason(error: Exception) -> str:
    """For the person whose file it is: Weir's own messages are made for that, others may hold anything."""
    if isinstance(error, UpstreamFailure):
        error = error.for_caller()
    return error.message if isinstance(error, WeirError) else f"The last one ended in {type(error).__name__}."
