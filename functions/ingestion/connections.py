"""The worker with its connections, which live as long as the process."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

from aws_lambda_powertools.metrics import Metrics

from ingestion.settings import IngestionSettings
from ingestion.worker import Worker
from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.aws.secrets import read_secret
from shared.knowledge.ingest import Ingestion
from shared.ledger.outbox import UsageOutbox
from shared.postgres.database import Database
from shared.providers.catalog import Catalog, Models
from shared.providers.load import load_catalog, load_credentials
from shared.routing.embeddings import Payer, RoutedEmbedder
from shared.routing.router import Router
from shared.telemetry import Logger

# Files are ingested at the cost of their tenant, not of the key that uploaded them: it may be gone by then.
_KEY = "ingestion"


@asynccontextmanager
async def open_worker(
    settings: IngestionSettings, *, clock: Callable[[], datetime], log: Logger, metrics: Metrics
) -> AsyncIterator[Worker]:
    """A worker as the settings say; its connections are closed at the end."""
    credentials = await load_credentials(await load_catalog(settings.catalog), settings.provider_secrets)
    database = Database(await read_secret(settings.database_secret), pool_size=settings.database_pool_size)
    objects, queue = Objects(settings.bucket), Queue(settings.ingestion_queue_url)
    models = Models(Catalog(providers=tuple(c.provider for c in credentials)))
    router = Router(credentials)
    outbox = UsageOutbox(Queue(settings.usage_queue_url), "inline", log)

    def embedder_of(tenant_id: str) -> RoutedEmbedder:
        return RoutedEmbedder(models, router, outbox, Payer(tenant_id, _KEY, "ingestion"), clock)

    async with AsyncExitStack() as stack:
        for close in (database.close, router.close, outbox.close):
            stack.push_async_callback(close)
        await database.open()
        ingestion = Ingestion(database, objects, embedder_of, limits=settings.limits, clock=clock, log=log)
        yield Worker(
            database=database,
            objects=objects,
            queue=queue,
            ingestion=ingestion,
            log=log,
            metrics=metrics,
        )
