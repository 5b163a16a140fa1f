"""Ingests one part of a file; whoever writes the last one makes the file searchable as a whole.

A part may be done twice without harm: only who holds its lease may write it, in one transaction.
"""

import asyncio
from typing import Literal

from shared.documents.document import UnreadableDocumentError
from shared.documents.parts import FilePart, Plan
from shared.errors import WeirError
from shared.files.keys import part_text_key
from shared.knowledge import parts
from shared.knowledge.chunk import chunk
from shared.knowledge.index import write_part
from shared.knowledge.jobs import Failure, LeaseLostError, Refusal
from shared.knowledge.leased import carried_out
from shared.knowledge.means import JobBusyError, Means
from shared.knowledge.messages import IngestPart
from shared.knowledge.parts import PartClaim, WrittenPart
from shared.knowledge.reading import SourceFile

# `part_completed`: others are left; `completed`: it was the last, and the file is searchable. `superseded`:
# the job was cancelled or removed, or its file has other bytes now.
PartOutcome = Literal["part_completed", "completed", "failed", "superseded"] | Refusal


class PartIngestion:
    """The ingestion of parts of files, one at a time or several at once."""

    def __init__(self, means: Means) -> None:
        self._means = means

    async def run(self, job: IngestPart) -> PartOutcome:
        """Do the part, unless it is done or not to be done. Failures are those of `Ingestion.run`.

        Raises:
            JobBusyError: Let the message come back.
        """
        try:
            claim = await self._claim(job)
        except LeaseLostError:
            return "superseded"
        if not isinstance(claim, PartClaim):
            if claim == "busy":
                raise JobBusyError(f"Part {job.part} of {job.file_id} is being ingested.")
            return claim
        return await carried_out(
            self._means,
            job,
            lambda: self._carry_out(claim),
            renew=lambda: self._renew(claim),
            give_back=lambda reason: self._give_back(claim, reason),
        )

    async def _claim(self, job: IngestPart) -> PartClaim | Refusal:
        means = self._means
        async with means.database.tenant(job.tenant_id) as connection:
            return await parts.claim_part(
                connection,
                job,
                means.clock(),
                means.limits.lease,
                max_attempts=means.limits.max_attempts,
            )

    async def _carry_out(self, claim: PartClaim) -> PartOutcome:
        plan = claim.plan
        part = plan.parts[claim.job.part]
        try:
            info = await self._means.reading.look(claim.object_key)
            if info.etag != claim.object_etag:
                # Its upload has made a message, which plans anew.
                return "superseded"
            return await self._ingest(claim, plan, part)
        except UnreadableDocumentError as error:
            return await self._fail(claim, error, len(plan.parts))

    async def _ingest(self, claim: PartClaim, plan: Plan, part: FilePart) -> PartOutcome:
        means, tenant_id = self._means, claim.job.tenant_id
        async with means.reading.fetched(claim.object_key, part) as path:
            source = SourceFile(tenant_id=tenant_id, file_id=claim.job.file_id, filename=claim.filename)
            document = await means.reading.document(path, plan, part, source)
        chunks = await asyncio.to_thread(chunk, document, max_tokens=claim.chunk_tokens)
        key = part_text_key(tenant_id, claim.job.file_id, claim.content_sha256, claim.job.part)
        await means.objects.put(key, document.text.encode(), "text/markdown; charset=utf-8")
        texts = [piece.indexed_text for piece in chunks]
        embedded = await means.embedding.embed(tenant_id, claim.embedding_model, claim.dimensions, texts)
        outcome: PartOutcome = "part_completed"
        async with means.database.tenant(tenant_id) as connection:
            written = await write_part(
                connection,
                claim.place,
                chunks,
                embedded.vectors,
                embedding_model=claim.embedding_model,
            )
            part_of_file = WrittenPart(written, len(document.text), document.scanned_pages)
            if await parts.complete_part(connection, claim, part_of_file, means.clock()):
                outcome = "completed" if await parts.publish(connection, claim, means.clock()) else "failed"
        means.count("ChunksWritten", len(chunks))
        means.count("VectorsReused", embedded.reused)
        return outcome

    async def _fail(self, claim: PartClaim, error: UnreadableDocumentError, count: int) -> Literal["failed"]:
        message = f"In part {claim.job.part + 1} of {count}: {error.message}"
        failure = Failure(code=error.code, message=message, content_sha256=claim.content_sha256)
        async with self._means.database.tenant(claim.job.tenant_id) as connection:
            await parts.fail(connection, claim.job, failure)
        return "failed"

    async def _give_back(self, claim: PartClaim, reason: str) -> Literal["again", "failed"]:
        means = self._means
        try:
            async with means.database.tenant(claim.job.tenant_id) as connection:
                return await parts.give_back_part(
                    connection, claim, reason, means.clock(), max_attempts=means.limits.max_attempts
                )
        except (WeirError, LeaseLostError):
            # The lease ends by itself, or has been ended, and the message comes back.
            means.log.warning("lease not given back", exc_info=True, extra=claim.job.model_dump())
            return "again"

    async def _renew(self, claim: PartClaim) -> bool:
        means = self._means
        async with means.database.tenant(claim.job.tenant_id) as connection:
            return await parts.renew_part(connection, claim, means.clock(), means.limits.lease)
