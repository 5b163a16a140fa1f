"""Does what a message asks for."""

from dataclasses import dataclass

from aws_lambda_powertools.metrics import Metrics

from ingestion.events import ConnectionTest, ObjectsCreated, UploadedObject, parse_key, parse_message
from shared.errors import NotFoundError
from shared.files.records import mark_uploaded
from shared.knowledge.ingest import Ingestion
from shared.knowledge.ingest_part import PartIngestion
from shared.knowledge.means import Means
from shared.knowledge.messages import IngestFile, IngestPart, ReembedStore
from shared.knowledge.reading import sha256_of
from shared.knowledge.reembed import Reembedding
from shared.knowledge.uploads import reopen, waiting_jobs, was_read
from shared.telemetry import MetricUnit


@dataclass(frozen=True)
class Worker:
    """Takes the messages of the ingestion queue, of which any may come twice."""

    means: Means
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
            case IngestPart() as job:
                self._tell("Parts", await PartIngestion(self.means).run(job), job)
            case ReembedStore() as job:
                self._tell("Reembedding", await Reembedding(self.means).run(job), job)
            case ObjectsCreated(keys):
                for key in keys:
                    await self._take_up(key)
            case ConnectionTest():
                self.means.log.info("S3 can reach the queue")

    async def _take_up(self, key: str) -> None:
        uploaded = parse_key(key)
        jobs = [] if uploaded is None else await self._jobs(uploaded)
        if len(jobs) == 1:
            await self._ingest(jobs[0])
        else:
            # A message each, so that one file in many stores is not one long run.
            await self.means.queue.send(jobs)

    async def _jobs(self, uploaded: UploadedObject) -> list[IngestFile]:
        try:
            size = (await self.means.objects.info(uploaded.key)).size
        except NotFoundError:
            self.means.log.info("object is gone", extra={"key": uploaded.key})
            return []
        tenant_id, file_id = uploaded.tenant_id, uploaded.file_id
        async with self.means.database.tenant(tenant_id) as connection:
            if await mark_uploaded(connection, file_id, size) is None:
                # Cleanup removes what has no record.
                self.means.log.warning("object without a record", extra={"key": uploaded.key})
                return []
            seen = await was_read(connection, tenant_id, file_id)
        sha256 = await self._sha256(uploaded.key) if seen else None
        async with self.means.database.tenant(tenant_id) as connection:
            if sha256 is not None:
                await reopen(connection, tenant_id, file_id, sha256)
            return await waiting_jobs(connection, tenant_id, file_id)

    async def _sha256(self, key: str) -> str:
        async with self.means.reading.fetched(key) as path:
            return await sha256_of(path)

    async def _ingest(self, job: IngestFile) -> None:
        self._tell("Files", await Ingestion(self.means).run(job), job)

    def _tell(self, what: str, outcome: str, job: IngestFile | IngestPart | ReembedStore) -> None:
        # FilesCompleted, FilesFailed, FilesAwaitingUpload, PartsPartCompleted, ...
        self.metrics.add_metric(what + outcome.title().replace("_", ""), MetricUnit.Count, 1)
        self.means.log.info("ingestion ended", extra={**job.model_dump(), "outcome": outcome})
