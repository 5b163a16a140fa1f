"""Workers that are killed at random in the middle of a crawl: no page lost, none kept twice."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from bench.crawl_site import Visits, application
from local.components.cloud import Cloud
from local.process import Launcher, Program
from shared.aws.clients import call, client
from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.postgres.database import Database
from shared.web.scrape_models import NewScrape, PageCounts, Scrape
from shared.web.scrapes import create_scrape, first_messages, get_scrape
from tests.faults.crew import Crew
from tests.faults.stores import ValkeyServer

_WORKERS = 3
# Requests to the site at once, by all workers.
_AT_ONCE = 4
# What a worker has in hand at most: the pages of a batch, fetched one by one and committed together.
_IN_HAND = 10

# Seconds after which what a dead worker held comes back.
_HIDDEN = 6


@pytest.fixture
async def queue_url(aws: None) -> str:
    """A queue that hides a message only for so long, so that the deaths of workers cost seconds."""
    attributes = {"VisibilityTimeout": str(_HIDDEN)}
    name = f"killed-{time.monotonic_ns()}"
    return str((await call(client("sqs").create_queue, QueueName=name, Attributes=attributes))["QueueUrl"])


@asynccontextmanager
async def site(pages: int, delay: float, robots: str = "") -> AsyncIterator[tuple[str, str, Visits]]:
    visits = Visits()
    async with TestServer(application(pages, delay, robots, visits), host="127.0.0.1") as server:
        yield f"http://127.0.0.1:{server.port}", f"127.0.0.1:{server.port}", visits


async def crawl(
    database: Database,
    tenant_id: str,
    url: str,
    queue_url: str,
    crew: Crew,
    visits: Visits,
    kills: tuple[int, int],
) -> Scrape:
    """Crawl from `url` on with a crew that keeps dying."""
    new = NewScrape(tenant_id=tenant_id, start_urls=(url,), depth_limit=50, page_limit=10_000)
    async with database.tenant(tenant_id) as connection:
        scrape = await create_scrape(connection, new, datetime.now(UTC))
        messages = await first_messages(connection, tenant_id, scrape.scrape_id)
    await Queue(queue_url).send(messages)
    await crew.start()

    async def visited(more: int) -> None:
        await visits.come_to(len(visits.begins) + more)

    killing = asyncio.create_task(crew.kill_now_and_then(visited, kills))
    while scrape.status in ("queued", "running"):
        assert not killing.done(), killing.exception()
        await asyncio.sleep(0.5)
        async with database.tenant(tenant_id) as connection:
            scrape = await get_scrape(connection, scrape.scrape_id)
    killing.cancel()
    await asyncio.wait([killing])
    return scrape


def worker_program(
    local_cloud: Cloud, database_url: str, valkey_url: str, bucket: str, queue_url: str, host: str
) -> Program:
    return Program(
        name="worker",
        argv=[sys.executable, "-m", "local.servers.worker", "scraping", queue_url],
        environment={
            **local_cloud.environment,
            "PYTHONPATH": f"functions{os.pathsep}.",
            "WEIR_DATABASE_SECRET": "env:CRAWL_DATABASE_URL",
            "CRAWL_DATABASE_URL": database_url,
            "WEIR_VALKEY_URL": valkey_url,
            "WEIR_VALKEY_TIMEOUT_MS": "2000",
            "WEIR_BUCKET": bucket,
            "WEIR_SCRAPING_QUEUE_URL": queue_url,
            # No model is asked, so nothing is used.
            "WEIR_USAGE_QUEUE_URL": queue_url,
            "WEIR_CRAWLER_PERMITTED_HOSTS": host,
            "WEIR_CRAWLER_DELAY_SECONDS": "0",
            "WEIR_CRAWLER_HOST_REQUESTS": str(_AT_ONCE),
            "WEIR_CRAWLER_PAGE_SECONDS": "3",
            "WEIR_CRAWLER_LEASE_SECONDS": "5",
            # A page may be in the hands of every worker that dies.
            "WEIR_CRAWLER_PAGE_ATTEMPTS": "50",
            "WEIR_LOG_LEVEL": "WARNING",
        },
    )


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as running:
        yield running


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("pages", "delay", "robots", "kills"),
    [
        pytest.param(2_000, 0.02, "", (50, 150), id="four-at-once"),
        pytest.param(120, 0.02, "User-agent: *\nCrawl-delay: 0.1\n", (10, 20), id="crawl-delay"),
    ],
)
@pytest.mark.parametrize("valkey_server", ["plain"], indirect=True)
async def test_no_page_is_lost_or_kept_twice(
    pages: int,
    delay: float,
    robots: str,
    kills: tuple[int, int],
    stack: AsyncExitStack,
    tmp_path: Path,
    local_cloud: Cloud,
    database: Database,
    database_url: str,
    tenant_id: str,
    valkey_server: ValkeyServer,
    objects: Objects,
    queue_url: str,
    figure: Callable[[str], None],
) -> None:
    url, host, visits = await stack.enter_async_context(site(pages, delay, robots))
    program = worker_program(local_cloud, database_url, valkey_server.url, objects.bucket, queue_url, host)
    launcher = await stack.enter_async_context(Launcher(tmp_path / "workers"))
    crew = Crew(launcher, program, size=_WORKERS, seed=6)
    began = time.monotonic()
    scrape = await crawl(database, tenant_id, f"{url}/page/0", queue_url, crew, visits, kills)
    seconds = time.monotonic() - began
    stats = visits.stats()
    figure(
        f"{pages} pages in {seconds:.0f} s, {crew.killed} workers killed, {stats['visits']} visits,"
        f" at most {stats['most_at_once']} at once, least gap {stats['least_gap'] * 1000:.0f} ms"
    )
    assert crew.killed > 3
    assert (scrape.status, scrape.page_counts) == ("completed", PageCounts(completed=pages))
    async with database.tenant(tenant_id) as connection:
        cursor = await connection.execute(
            """
            SELECT count(*) AS files, count(DISTINCT source_url) AS urls,
                   (SELECT count(DISTINCT file_id) FROM scrape_pages) AS kept
            FROM files
            """
        )
        assert await cursor.fetchone() == {"files": pages, "urls": pages, "kept": pages}
    # Only what a worker had in hand when it died is fetched again.
    assert pages <= stats["visits"] <= pages + crew.killed * _IN_HAND
    assert stats["most_at_once"] <= (1 if robots else _AT_ONCE)
    if robots:
        assert stats["least_gap"] >= 0.1
