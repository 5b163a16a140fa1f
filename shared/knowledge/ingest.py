"""Makes a stored file searchable in one store: fetch, plan, parse, keep its text, chunk, embed, write.

A file of one part is done here; the parts of a larger one are messages of their own (`ingest_part`).

Everything before the last step may be done twice without harm, and the last is one transaction; so a message
that comes twice, or a worker that dies, doubles nothing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shared.documents.document import UnreadableDocumentError
from shared.documents.parts import Plan
from shared.files.keys import text_key
from shared.knowledge import job_lease, plans
from shared.knowledge.index import Written, remove_staged, replace_chunks
from shared.knowledge.job_end import complete, fail
from shared.knowledge.jobs import Claim, Failure, LeaseLostError, Refusal
from shared.knowledge.leased import under_lease
from shared.knowledge.making import make
from shared.knowledge.means import Means
from shared.knowledge.messages import IngestFile
from shared.knowledge.reading import SourceFile, sha256_of

# `unchanged`: the chunks that are there are of the same bytes. `in_parts`: each part of the file has a
# message of its own. `superseded`: the job was cancelled, removed or given to another worker meanwhile.
Outcome = Literal["completed", "unchanged", "in_parts", "failed", "superseded"] | Refusal


@dataclass(frozen=True, kw_only=True)
class _Fetched:
    """The bytes of a claimed file, beside us."""

    path: Path
    etag: str
    sha256: str


class Ingestion:
    """The ingestion of files, one job at a time or several at once."""

    def __init__(self, means: Means) -> None:
        self._means = means

    async def run(self, job: IngestFile) -> Outcome:
        """Do the job, unless it is done or not to be done.

        A file that cannot be read fails the job for good, with the reason. Any other failure ends the lease
        and is raised, so that the message comes back; at the last attempt it fails the job instead.

        Raises:
            JobBusyError: Let the message come back.
        """
        return await under_lease(self._means, job_lease, job, self._carry_out)

    async def _carry_out(self, claim: Claim) -> Outcome:
        reading = self._means.reading
        try:
            info = await reading.look(claim.object_key)
            if claim.staged is not None and claim.staged.object_etag == info.etag:
                await self._release(claim)
                return await self._send_parts(claim.job, claim.staged.version)
            async with reading.fetched(claim.object_key) as path:
                self._means.count("BytesRead", info.size)
                fetched = _Fetched(path=path, etag=info.etag, sha256=await sha256_of(path))
                return await self._read(claim, fetched)
        except UnreadableDocumentError as error:
            return await self._fail(claim, error, None)

    async def _read(self, claim: Claim, fetched: _Fetched) -> Outcome:
        if claim.chunk_count and claim.content_sha256 == fetched.sha256:
            await self._complete_unchanged(claim, fetched.sha256)
            return "unchanged"
        try:
            plan = await self._means.reading.plan(fetched.path, claim.filename, claim.media_type)
            if len(plan.parts) > 1:
                return await self._begin_parts(claim, fetched, plan)
            await self._ingest_whole(claim, fetched, plan)
        except UnreadableDocumentError as error:
            return await self._fail(claim, error, fetched.sha256)
        return "completed"

    async def _ingest_whole(self, claim: Claim, fetched: _Fetched, plan: Plan) -> None:
        means, tenant_id = self._means, claim.job.tenant_id
        source = SourceFile(tenant_id=tenant_id, file_id=claim.job.file_id, filename=claim.filename)
        document = await means.reading.document(fetched.path, plan, plan.parts[0], source)
        made = await make(means, claim, document, text_key(tenant_id, claim.job.file_id))
        async with means.database.tenant(tenant_id) as connection:
            if not await job_lease.holds(connection, claim):
                raise LeaseLostError
            written = await replace_chunks(
                connection,
                **claim.job.model_dump(),
                chunks=made.chunks,
                embeddings=made.vectors,
                embedding_model=claim.embedding_model,
            )
            unread = document.scanned_pages
            await complete(connection, claim.held, written, fetched.sha256, means.clock(), unread)
        made.count(means)

    async def _begin_parts(self, claim: Claim, fetched: _Fetched, plan: Plan) -> Outcome:
        async with self._means.database.tenant(claim.job.tenant_id) as connection:
            version = await plans.begin(
                connection,
                claim,
                plan=plan,
                object_etag=fetched.etag,
                content_sha256=fetched.sha256,
            )
        return await self._send_parts(claim.job, version)

    async def _send_parts(self, job: IngestFile, version: int) -> Outcome:
        # Whoever dies in here leaves parts that are not noted as sent: the message of the file comes again.
        means = self._means
        async with means.database.tenant(job.tenant_id) as connection:
            messages = await plans.unsent(connection, job, version)
        await means.queue.send(messages)
        async with means.database.tenant(job.tenant_id) as connection:
            await plans.note_sent(connection, job, version, means.clock())
        return "in_parts"

    async def _complete_unchanged(self, claim: Claim, sha256: str) -> None:
        async with self._means.database.tenant(claim.job.tenant_id) as connection:
            await remove_staged(connection, **claim.job.model_dump())
            written = Written(claim.chunk_count, claim.usage_bytes)
            await complete(connection, claim.held, written, sha256, self._means.clock(), claim.unread_pages)

    async def _fail(
        self, claim: Claim, error: UnreadableDocumentError, sha256: str | None
    ) -> Literal["failed"]:
        failure = Failure(code=error.code, message=error.message, content_sha256=sha256)
        async with self._means.database.tenant(claim.job.tenant_id) as connection:
            await fail(connection, claim.held, failure)
        return "failed"

    async def _release(self, claim: Claim) -> None:
        async with self._means.database.tenant(claim.job.tenant_id) as connection:
            await job_lease.release(connection, claim)
