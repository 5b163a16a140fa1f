"""Ingests one part of a file; whoever writes the last one makes the file searchable as a whole.

A part may be done twice without harm: only who holds its lease may write it, in one transaction.
"""

from typing import Literal

from shared.documents.document import UnreadableDocumentError
from shared.documents.parts import FilePart, Plan
from shared.files.keys import part_text_key
from shared.knowledge import part_lease
from shared.knowledge.index import write_part
from shared.knowledge.job_end import fail
from shared.knowledge.jobs import Failure, Refusal, staged
from shared.knowledge.leased import under_lease
from shared.knowledge.making import make
from shared.knowledge.means import Means
from shared.knowledge.messages import IngestPart
from shared.knowledge.part_end import complete_part, publish
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
        return await under_lease(self._means, part_lease, job, self._carry_out)

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
        key = part_text_key(tenant_id, claim.job.file_id, claim.content_sha256, claim.job.part)
        made = await make(means, claim, document, key)
        outcome: PartOutcome = "part_completed"
        async with means.database.tenant(tenant_id) as connection:
            written = await write_part(
                connection,
                claim.place,
                made.chunks,
                made.vectors,
                embedding_model=claim.embedding_model,
            )
            part_of_file = WrittenPart(written, len(document.text), document.scanned_pages)
            if await complete_part(connection, claim, part_of_file, means.clock()):
                outcome = "completed" if await publish(connection, claim, means.clock()) else "failed"
        made.count(means)
        return outcome

    async def _fail(self, claim: PartClaim, error: UnreadableDocumentError, count: int) -> Literal["failed"]:
        message = f"In part {claim.job.part + 1} of {count}: {error.message}"
        failure = Failure(code=error.code, message=message, content_sha256=claim.content_sha256)
        async with self._means.database.tenant(claim.job.tenant_id) as connection:
            await fail(connection, staged(claim.job), failure)
        return "failed"
