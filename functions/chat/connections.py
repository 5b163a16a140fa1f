"""Opens what chat works with, for the life of the process."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from chat.settings import ChatSettings
from shared.aws.queues import Queue
from shared.aws.secrets import read_secret
from shared.completion.services import Services
from shared.ledger.outbox import UsageOutbox
from shared.limits.keyring import KeyRing
from shared.limits.rate import RateLimiter
from shared.postgres.database import Database
from shared.providers.catalog import Models
from shared.providers.load import load_catalog, load_credentials
from shared.routing.router import Router
from shared.telemetry import Logger
from shared.valkey.client import Valkey


@dataclass(frozen=True)
class Connections:
    """Who calls, and what answers."""

    keyring: KeyRing
    services: Services


@asynccontextmanager
async def open_connections(
    settings: ChatSettings, clock: Callable[[], datetime], log: Logger
) -> AsyncIterator[Connections]:
    """Everything chat needs, closed in reverse order at the end; usage not yet sent is sent then."""
    catalog = await load_catalog(settings.catalog)
    credentials = await load_credentials(catalog, settings.provider_secrets)
    database_url = await read_secret(settings.database_secret)
    async with AsyncExitStack() as stack:
        database = Database(database_url, pool_size=settings.database_pool_size)
        await database.open()
        stack.push_async_callback(database.close)
        valkey = Valkey(
            settings.valkey_url, cluster=settings.valkey_cluster, timeout_ms=settings.valkey_timeout_ms
        )
        stack.push_async_callback(valkey.close)
        router = Router(credentials)
        stack.push_async_callback(router.close)
        outbox = UsageOutbox(Queue(settings.usage_queue_url), settings.usage_delivery, log)
        stack.push_async_callback(outbox.close)
        services = Services(
            models=Models(catalog.only(c.provider.name for c in credentials)),
            router=router,
            limiter=RateLimiter(valkey),
            outbox=outbox,
            database=database,
            clock=clock,
        )
        await asyncio.to_thread(_import_what_calls_need)
        yield Connections(KeyRing(database, valkey), services)


def _import_what_calls_need() -> None:
    """Imported by a running server alone, before its first request, so that none waits for it."""
    import shared.providers.endpoint  # noqa: F401
    from shared.aws.clients import client

    client("sqs")
