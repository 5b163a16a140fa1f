"""The worker with its connections, which live as long as the process."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

from aws_lambda_powertools.metrics import Metrics

from ingestion.settings import IngestionSettings
from ingestion.worker import Worker
from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.connections import open_database
from shared.knowledge.ingest import Ingestion
from shared.ledger.outbox import UsageOutbox
from shared.routing.embeddings import Payer, RoutedEmbedder
from shared.routing.upstreams import open_upstreams
from shared.telemetry import Logger

# Files are ingested at the cost of their tenant, not of the key that uploaded them: it may be gone by then.
_KEY = "ingestion"


@asynccontextmanager
async def open_worker(
    settings: IngestionSettings, *, clock: Callable[[], datetime], log: Logger, metrics: Metrics
) -> AsyncIterator[Worker]:
    """A worker as the settings say; its connections are closed at the end."""
    objects, queue = Objects(settings.bucket), Queue(settings.ingestion_queue_url)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings))
        upstreams = await stack.enter_async_context(open_upstreams(settings))
        outbox = UsageOutbox(Queue(settings.usage_queue_url), "inline", log)
        stack.push_async_callback(outbox.close)

        def embedder_of(tenant_id: str) -> RoutedEmbedder:
            payer = Payer(tenant_id, _KEY, "ingestion")
            return RoutedEmbedder(upstreams.models, upstreams.router, outbox, payer, clock)

        ingestion = Ingestion(database, objects, embedder_of, limits=settings.limits, clock=clock, log=log)
        yield Worker(
            database=database,
            objects=objects,
            queue=queue,
            ingestion=ingestion,
            log=log,
            metrics=metrics,
        )
