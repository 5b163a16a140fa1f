"""The worker with its connections, which live as long as the process."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics

from scraping.filling import Filler
from scraping.page_model import ModelMeans
from scraping.reading import Reader
from scraping.reporting import Reporter
from scraping.settings import ScrapingSettings
from scraping.steps import PageSteps
from scraping.visiting import Visitor
from scraping.worker import Worker
from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.connections import open_database, open_valkey
from shared.ledger.outbox import UsageOutbox
from shared.limits.limiter import Limiter
from shared.postgres.database import Database
from shared.routing.upstreams import open_upstreams
from shared.valkey.client import Valkey
from shared.web.admission import Admission
from shared.web.fetch import Fetcher, FetchLimits
from shared.web.politeness import Pace, Politeness
from shared.web.robots import Robots

# Seconds that a turn at a host lasts beyond the fetch, before it is taken from a worker that died.
_TURN_MARGIN = 10


@asynccontextmanager
async def open_worker(
    settings: ScrapingSettings, *, now: Callable[[], datetime], log: Logger, metrics: Metrics
) -> AsyncIterator[Worker]:
    """A worker as the settings say; its connections are closed at the end."""
    queue = Queue(settings.scraping_queue_url)
    rendering = Queue(settings.rendering_queue_url) if settings.rendering_queue_url else None
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings))
        valkey = await stack.enter_async_context(open_valkey(settings))
        upstreams = await stack.enter_async_context(open_upstreams(settings, valkey=valkey))
        outbox = UsageOutbox(Queue(settings.usage_queue_url), "inline", log)
        stack.push_async_callback(outbox.close)
        fetcher = await stack.enter_async_context(_fetcher(settings))
        model = ModelMeans(
            models=upstreams.models,
            router=upstreams.router,
            outbox=outbox,
            limiter=Limiter(valkey, database),
            seconds=settings.crawler_model_seconds,
            now=now,
        )
        steps = PageSteps(
            database=database,
            queue=queue,
            renders=rendering is not None,
            lease=timedelta(seconds=settings.crawler_lease_seconds),
            now=now,
        )
        reader = Reader(
            database=database,
            objects=Objects(settings.bucket),
            steps=steps,
            visitor=_visitor(settings, fetcher, valkey, now),
            filler=Filler(database=database, means=model, attempts=settings.crawler_page_attempts, now=now),
            product=settings.crawler_product,
            renders=rendering is not None,
            now=now,
        )
        yield Worker(
            database=database,
            queue=queue,
            rendering=rendering,
            steps=steps,
            reader=reader,
            reporter=_reporter(settings, database, queue, now, log),
            attempts=settings.crawler_page_attempts,
            log=log,
            metrics=metrics,
        )


def _reporter(
    settings: ScrapingSettings, database: Database, queue: Queue, now: Callable[[], datetime], log: Logger
) -> Reporter:
    return Reporter(
        database=database,
        queue=queue,
        user_agent=settings.crawler_agent,
        permitted_hosts=settings.crawler_permitted_hosts,
        now=now,
        log=log,
    )


def _fetcher(settings: ScrapingSettings) -> Fetcher:
    return Fetcher(
        user_agent=settings.crawler_agent,
        permitted_hosts=settings.crawler_permitted_hosts,
        limits=FetchLimits(max_bytes=settings.crawler_page_bytes, seconds=settings.crawler_page_seconds),
    )


def _visitor(
    settings: ScrapingSettings, fetcher: Fetcher, valkey: Valkey, now: Callable[[], datetime]
) -> Visitor:
    admission = Admission(
        robots=Robots(fetcher, valkey, product=settings.crawler_product),
        politeness=Politeness(valkey, lease=settings.crawler_page_seconds + _TURN_MARGIN),
        pace=Pace(delay=settings.crawler_delay_seconds, at_once=settings.crawler_host_requests),
    )
    return Visitor(fetcher=fetcher, admission=admission, now=now)
