"""Opens what the pipeline works with, for the life of a process."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from shared.aws.queues import Queue
from shared.cache.flights import Flights
from shared.completion.background import Background
from shared.completion.policy import Caching
from shared.completion.services import Services
from shared.connections import open_database, open_replica, open_valkey
from shared.ledger.outbox import UsageOutbox
from shared.limits.keyring import KeyRing
from shared.limits.limiter import Limiter
from shared.providers.reasoning_vault import ReasoningVault
from shared.routing.upstreams import open_upstreams
from shared.settings import CompletionSettings
from shared.telemetry import Logger
from shared.valkey.client import Valkey


@dataclass(frozen=True)
class Opened:
    """Who calls, what answers, and the Valkey that both stand on."""

    keyring: KeyRing
    services: Services
    valkey: Valkey


@asynccontextmanager
async def open_completion(
    settings: CompletionSettings, clock: Callable[[], datetime], log: Logger
) -> AsyncIterator[Opened]:
    """The pipeline as the settings say; closed at the end, when usage that is not sent yet is sent."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings))
        valkey = await stack.enter_async_context(open_valkey(settings))
        upstreams = await stack.enter_async_context(open_upstreams(settings, valkey=valkey, routing=settings))
        outbox = UsageOutbox(Queue(settings.usage_queue_url), settings.usage_delivery, log)
        stack.push_async_callback(outbox.close)
        background = Background(freezes=settings.usage_delivery == "inline")
        stack.push_async_callback(background.close)
        services = Services(
            models=upstreams.models,
            router=upstreams.router,
            limiter=Limiter(valkey, database),
            flights=Flights(valkey),
            caching=Caching(
                mode=settings.cache_mode,
                ttl_seconds=settings.cache_ttl_seconds,
                error_bound=settings.cache_error_bound,
            ),
            vault=ReasoningVault(valkey),
            background=background,
            outbox=outbox,
            database=database,
            embedding_model=settings.embedding_model,
            clock=clock,
            rerank_model=settings.rerank_model,
            search_model_seconds=settings.search_model_seconds,
            replica=await stack.enter_async_context(open_replica(settings)),
        )
        await asyncio.to_thread(import_what_calls_need)
        yield Opened(KeyRing(database, valkey), services, valkey)


def import_what_calls_need() -> None:
    """Imported by a running process alone, before its first request, so that none waits for it."""
    import shared.providers.endpoint  # noqa: F401
    from shared.aws.clients import client

    client("sqs")
