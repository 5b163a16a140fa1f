"""Opens what batches are worked with, for the life of the process."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from random import Random

from batch.settings import BatchSettings
from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.batch.means import Means
from shared.batch.prices import batch_models
from shared.completion.opening import open_completion
from shared.routing.upstreams import open_upstreams
from shared.telemetry import Logger


@asynccontextmanager
async def open_means(
    settings: BatchSettings, clock: Callable[[], datetime], log: Logger
) -> AsyncIterator[Means]:
    """As the settings say; connections are closed at the end."""
    # The event loop stands still between two invocations, on one machine too.
    inline = settings.model_copy(update={"usage_delivery": "inline"})
    async with AsyncExitStack() as stack:
        services = (await stack.enter_async_context(open_completion(inline, clock, log))).services
        # Apart from that of live requests: what a batch sees of a provider opens no breaker for them.
        upstreams = await stack.enter_async_context(open_upstreams(settings, routing=settings))
        models = batch_models(upstreams.models, settings.batch_price_factor)
        yield Means(
            database=services.database,
            objects=Objects(settings.bucket),
            queue=Queue(settings.batch_queue_url),
            services=replace(services, models=models, router=upstreams.router),
            rules=settings.rules,
            places=asyncio.Semaphore(settings.batch_lines_at_once),
            clock=clock,
            # It spreads messages in time and is no secret.
            random=Random(),  # noqa: S311
            log=log,
        )
