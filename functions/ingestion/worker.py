"""Does what a message asks for."""

import asyncio
import hashlib
from dataclasses import dataclass

from aws_lambda_powertools.metrics import Metrics

from ingestion.events import ConnectionTest, ObjectsCreated, UploadedObject, parse_key, parse_message
from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.errors import NotFoundError
from shared.files.records import mark_uploaded
from shared.knowledge.ingest import Ingestion
from shared.knowledge.messages import IngestFile
from shared.knowledge.uploads import reopen, waiting_jobs, was_read
from shared.postgres.database import Database
from shared.telemetry import Logger, MetricUnit


@dataclass(frozen=True, kw_only=True)
class Worker:
    """Takes the messages of the ingestion queue, of which any may come twice."""

    database: Database
    objects: Objects
    queue: Queue
    ingestion: Ingestion
    log: Logger
    metrics: Metrics

    async def handle(self, body: str) -> None:
        """Handle one message.

        Raises:
            MalformedMessageError: It is none.
            Exception: It could not be done now; the message should come back.
        """
        match parse_message(body):
            case IngestFile() as job:
                await self._ingest(job)
            case ObjectsCreated(keys):
                for key in keys:
                    await self._take_up(key)
            case ConnectionTest():
                self.log.info("S3 can reach the queue")

    async def _take_up(self, key: str) -> None:
        uploaded = parse_key(key)
        jobs = [] if uploaded is None else await self._jobs(uploaded)
        if len(jobs) == 1:
            await self._ingest(jobs[0])
        else:
            # A message each, so that one file in many stores is not one long run.
            await self.queue.send(jobs)

    async def _jobs(self, uploaded: UploadedObject) -> list[IngestFile]:
        try:
            size = (await self.objects.info(uploaded.key)).size
        except NotFoundError:
            self.log.info("object is gone", extra={"key": uploaded.key})
            return []
        tenant_id, file_id = uploaded.tenant_id, uploaded.file_id
        async with self.database.tenant(tenant_id) as connection:
            if await mark_uploaded(connection, file_id, size) is None:
                # Cleanup removes what has no record.
                self.log.warning("object without a record", extra={"key": uploaded.key})
                return []
            seen = await was_read(connection, tenant_id, file_id)
        sha256 = await self._sha256(uploaded.key) if seen else None
        async with self.database.tenant(tenant_id) as connection:
            if sha256 is not None:
                await reopen(connection, tenant_id, file_id, sha256)
            return await waiting_jobs(connection, tenant_id, file_id)

    async def _sha256(self, key: str) -> str:
        data = await self.objects.get(key)
        return await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())

    async def _ingest(self, job: IngestFile) -> None:
        outcome = await self.ingestion.run(job)
        # FilesCompleted, FilesFailed, FilesAwaitingUpload, ...
        self.metrics.add_metric("Files" + outcome.title().replace("_", ""), MetricUnit.Count, 1)
        self.log.info("ingestion ended", extra={**job.model_dump(), "outcome": outcome})
