"""The worker with its connections, which live as long as the process."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics

from scraping.settings import ScrapingSettings
from scraping.worker import Worker
from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.connections import open_database, open_valkey
from shared.web.fetch import Fetcher, FetchLimits
from shared.web.politeness import HostClock
from shared.web.robots import Robots


@asynccontextmanager
async def open_worker(
    settings: ScrapingSettings, *, now: Callable[[], datetime], log: Logger, metrics: Metrics
) -> AsyncIterator[Worker]:
    """A worker as the settings say; its connections are closed at the end."""
    limits = FetchLimits(max_bytes=settings.crawler_page_bytes, seconds=settings.crawler_page_seconds)
    fetcher = Fetcher(
        user_agent=settings.crawler_user_agent,
        permitted_hosts=settings.crawler_permitted_hosts,
        limits=limits,
    )
    product = settings.crawler_user_agent.partition("/")[0]
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings))
        valkey = await stack.enter_async_context(open_valkey(settings))
        stack.push_async_callback(fetcher.close)
        yield Worker(
            database=database,
            objects=Objects(settings.bucket),
            queue=Queue(settings.scraping_queue_url),
            fetcher=fetcher,
            robots=Robots(fetcher, valkey, product=product),
            clock=HostClock(time.monotonic),
            product=product,
            delay=settings.crawler_delay_seconds,
            attempts=settings.crawler_page_attempts,
            lease=timedelta(seconds=settings.crawler_lease_seconds),
            now=now,
            log=log,
            metrics=metrics,
        )
