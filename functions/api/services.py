"""What the API works with, opened once per process."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from api.settings import ApiSettings, LimitSettings
from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.connections import open_database, open_valkey
from shared.ledger.outbox import UsageOutbox
from shared.limits.keyring import KeyRing
from shared.limits.keys import Caller
from shared.limits.limiter import Limiter
from shared.postgres.database import Database
from shared.providers.catalog import Models
from shared.routing.embeddings import Payer, RoutedEmbedder
from shared.routing.router import Router
from shared.routing.upstreams import open_upstreams
from shared.telemetry import Logger


@dataclass(frozen=True, kw_only=True)
class Services:
    """Connections, and what a deployment decides.

    `embedding_model` is that of stores which name none; `objects_origin` is where presigned URLs point to.
    """

    database: Database
    objects: Objects
    ingestion: Queue
    scraping: Queue
    keyring: KeyRing
    limiter: Limiter
    models: Models
    router: Router
    outbox: UsageOutbox
    embedding_model: str
    objects_origin: str
    limits: LimitSettings
    clock: Callable[[], datetime]

    def embedder(self, caller: Caller) -> RoutedEmbedder:
        """Embeds a caller's query, at the caller's cost."""
        payer = Payer(caller.tenant_id, caller.key_id, "/v1/vector_stores/search")
        return RoutedEmbedder(self.models, self.router, self.outbox, payer, self.clock)


@asynccontextmanager
async def open_services(
    settings: ApiSettings, clock: Callable[[], datetime], log: Logger
) -> AsyncIterator[Services]:
    """Everything the API needs, closed in reverse order at the end."""
    objects = Objects(settings.bucket)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings))
        valkey = await stack.enter_async_context(open_valkey(settings))
        upstreams = await stack.enter_async_context(open_upstreams(settings, valkey=valkey))
        outbox = UsageOutbox(Queue(settings.usage_queue_url), "inline", log)
        stack.push_async_callback(outbox.close)
        yield Services(
            database=database,
            objects=objects,
            ingestion=Queue(settings.ingestion_queue_url),
            scraping=Queue(settings.scraping_queue_url),
            keyring=KeyRing(database, valkey),
            limiter=Limiter(valkey, database),
            models=upstreams.models,
            router=upstreams.router,
            outbox=outbox,
            embedding_model=settings.embedding_model,
            objects_origin=_origin(await objects.presign_put("any", "text/plain", 1)),
            limits=settings,
            clock=clock,
        )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
