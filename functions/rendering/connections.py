"""The worker with its connections and its browser, which live as long as the process."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics

from rendering.browser import Renderer, RenderLimits
from rendering.settings import RenderingSettings
from rendering.worker import RenderingWorker
from shared.aws.queues import Queue
from shared.connections import open_database, open_valkey
from shared.web.admission import Admission
from shared.web.fetch import Fetcher
from shared.web.politeness import Pace, Politeness
from shared.web.robots import Robots

# Seconds that a turn at a host lasts beyond the page, before it is taken from a worker that died.
_TURN_MARGIN = 15


@asynccontextmanager
async def open_worker(
    settings: RenderingSettings, *, log: Logger, metrics: Metrics
) -> AsyncIterator[RenderingWorker]:
    """A worker as the settings say; connections and browser are closed at the end."""
    fetcher = Fetcher(user_agent=settings.crawler_agent, permitted_hosts=settings.crawler_permitted_hosts)
    renderer = _renderer(settings)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings))
        valkey = await stack.enter_async_context(open_valkey(settings))
        stack.push_async_callback(fetcher.close)
        stack.push_async_callback(renderer.close)
        yield RenderingWorker(
            database=database,
            scraping=Queue(settings.scraping_queue_url),
            queue=Queue(settings.rendering_queue_url),
            renderer=renderer,
            admission=Admission(
                robots=Robots(fetcher, valkey, product=settings.crawler_product),
                politeness=Politeness(valkey, lease=settings.browser_page_seconds + _TURN_MARGIN),
                pace=Pace(delay=settings.crawler_delay_seconds, at_once=settings.crawler_host_requests),
            ),
            attempts=settings.crawler_page_attempts,
            lease=timedelta(seconds=settings.crawler_lease_seconds),
            log=log,
            metrics=metrics,
        )


def _renderer(settings: RenderingSettings) -> Renderer:
    return Renderer(
        executable=settings.browser_path,
        user_agent=settings.crawler_agent,
        permitted_hosts=settings.crawler_permitted_hosts,
        limits=RenderLimits(
            seconds=settings.browser_page_seconds,
            transfer_bytes=settings.browser_page_bytes,
            heap_mb=settings.browser_heap_mb,
        ),
    )
