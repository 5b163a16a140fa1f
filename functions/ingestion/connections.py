"""The worker with its connections, which live as long as the process."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

from aws_lambda_powertools.metrics import Metrics

from ingestion.settings import IngestionSettings
from ingestion.worker import Worker
from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.connections import open_database
from shared.documents.pictures import Caption
from shared.documents.sandbox import Sandbox
from shared.knowledge.captions import Captions
from shared.knowledge.embedding import Embedding
from shared.knowledge.local_copy import remove_left
from shared.knowledge.means import Means
from shared.knowledge.reading import Reading
from shared.ledger.outbox import UsageOutbox
from shared.postgres.database import Database
from shared.routing.embeddings import RoutedEmbedder
from shared.routing.payer import Payer
from shared.routing.upstreams import Upstreams, open_upstreams
from shared.routing.viewing import RoutedViewer, vision_route
from shared.telemetry import Logger, MetricUnit

# Files are ingested at the cost of their tenant, not of the key that uploaded them: it may be gone by then.
_KEY = "ingestion"


@asynccontextmanager
async def open_worker(
    settings: IngestionSettings, *, clock: Callable[[], datetime], log: Logger, metrics: Metrics
) -> AsyncIterator[Worker]:
    """A worker as the settings say; its connections are closed at the end.

    Raises:
        NotFoundError: There is no chat model of the name that is set for captions.
        CatalogError: It cannot see, or the catalog cannot be read.
    """
    objects, limits = Objects(settings.bucket), settings.limits
    if left := await asyncio.to_thread(remove_left):
        log.warning("removed local copies of a worker that died", extra={"copies": left})
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings))
        upstreams = await stack.enter_async_context(open_upstreams(settings))
        outbox = UsageOutbox(Queue(settings.usage_queue_url), "inline", log)
        stack.push_async_callback(outbox.close)
        sandbox = await stack.enter_async_context(Sandbox())

        def embedder_of(tenant_id: str) -> RoutedEmbedder:
            payer = Payer(tenant_id, _KEY, "ingestion")
            return RoutedEmbedder(upstreams.models, upstreams.router, outbox, payer, clock)

        means = Means(
            database=database,
            objects=objects,
            queue=Queue(settings.ingestion_queue_url),
            reading=Reading(
                objects=objects,
                parser=sandbox,
                max_bytes=limits.max_bytes,
                caption_of=_captions(settings, database, upstreams, outbox, clock),
                caption_calls=settings.caption_calls,
            ),
            embedding=Embedding(
                database=database,
                embedder_of=embedder_of,
                batch=limits.embedding_batch,
                calls=limits.embedding_calls,
            ),
            limits=limits,
            clock=clock,
            count=lambda name, value: metrics.add_metric(name, MetricUnit.Count, value),
            log=log,
        )
        yield Worker(means, metrics)


def _captions(
    settings: IngestionSettings,
    database: Database,
    upstreams: Upstreams,
    outbox: UsageOutbox,
    clock: Callable[[], datetime],
) -> Callable[[str, str], Caption] | None:
    """Who describes pictures; `None` where no model is set for it."""
    if not settings.caption_model:
        return None
    route = vision_route(upstreams.models, settings.caption_model)

    def viewer_of(tenant_id: str) -> RoutedViewer:
        payer = Payer(tenant_id, _KEY, "ingestion")
        return RoutedViewer(route, upstreams.router, outbox, payer, clock, seconds=settings.caption_seconds)

    return Captions(
        database=database,
        model=settings.caption_model,
        viewer_of=viewer_of,
        seconds=settings.caption_seconds,
        clock=clock,
    ).of
