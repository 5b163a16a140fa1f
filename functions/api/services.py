"""What the API works with, opened once per process."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from api.settings import ApiSettings, LimitSettings, SearchSettings
from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.connections import open_database, open_replica, open_valkey
from shared.knowledge.search_models import SearchModels
from shared.ledger.outbox import UsageOutbox
from shared.limits.caller import Caller
from shared.limits.keyring import KeyRing
from shared.limits.limiter import Limiter
from shared.postgres.database import Database
from shared.providers.catalog import Models
from shared.routing.embeddings import RoutedEmbedder
from shared.routing.payer import Payer
from shared.routing.router import Router
from shared.routing.upstreams import open_upstreams
from shared.telemetry import Logger
from shared.websocket.tickets import Tickets

# What the ledger calls a search.
_SEARCH = "/v1/vector_stores/search"


@dataclass(frozen=True, kw_only=True)
class Services:
    """Connections, and what a deployment decides.

    `embedding_model` is that of stores which name none; `page_origins` are where the page may
    connect to: presigned URLs, and the WebSocket API if there is one.
    """

    database: Database
    objects: Objects
    ingestion: Queue
    scraping: Queue
    batches: Queue
    keyring: KeyRing
    tickets: Tickets
    limiter: Limiter
    models: Models
    router: Router
    outbox: UsageOutbox
    embedding_model: str
    page_origins: tuple[str, ...]
    websocket_url: str
    limits: LimitSettings
    search: SearchSettings
    replica: Database | None
    clock: Callable[[], datetime]

    def search_models(self, caller: Caller) -> SearchModels:
        """The models that help a caller's search, at the caller's cost."""
        return SearchModels(
            models=self.models,
            router=self.router,
            outbox=self.outbox,
            limiter=self.limiter,
            clock=self.clock,
            caller=caller,
            endpoint=_SEARCH,
            rerank_model=self.search.rerank_model,
            seconds=self.search.search_model_seconds,
        )

    def embedder(self, caller: Caller) -> RoutedEmbedder:
        """Embeds a caller's query, at the caller's cost."""
        payer = Payer.of(caller, _SEARCH)
        return RoutedEmbedder(self.models, self.router, self.outbox, payer, self.clock, limiter=self.limiter)


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
            batches=Queue(settings.batch_queue_url),
            keyring=KeyRing(database, valkey),
            tickets=Tickets(valkey),
            limiter=Limiter(valkey, database),
            models=upstreams.models,
            router=upstreams.router,
            outbox=outbox,
            embedding_model=settings.embedding_model,
            page_origins=tuple(
                _origin(url)
                for url in (await objects.presign_put("any", "text/plain", 1), settings.websocket_url)
                if url
            ),
            websocket_url=settings.websocket_url,
            limits=settings,
            search=settings,
            replica=await stack.enter_async_context(open_replica(settings)),
            clock=clock,
        )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
