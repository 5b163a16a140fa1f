"""A crawl by Weir beside one by Scrapy, of the same site at the same concurrency in one run.

The site is a process on the loopback whose pages take 20 ms each. Weir crawls as it is deployed: workers
take messages from a queue, the frontier is in PostgreSQL, turns at the host in Valkey, Markdown goes to S3,
and each page has a file record. Scrapy keeps its frontier in memory; once it makes Markdown of each page
with the extractor that Weir's is built on, and writes it to disk, once it only fetches and follows.

    python -m bench.crawl [--pages 5000] [--concurrency 16] [--workers 3]
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.table import Table

from local.components.cloud import install_cloud, start_cloud
from local.components.postgres import start_postgres
from local.components.storage import Deployment
from local.components.valkey import start_valkey
from local.lambda_function import TAKES_EVENTS
from local.process import ROOT, Launcher, LocalError, Program, free_port
from shared.aws.queues import Queue
from shared.postgres.database import Database
from shared.web.scrape_models import NewScrape, Scrape
from shared.web.scrapes import create_scrape, first_messages, get_scrape

_DELAY_MS = 20
_SCRAPY = "scrapy==2.19.0"
_EXTRACTOR = "trafilatura==2.3.1"


@dataclass(frozen=True)
class Result:
    """One crawl."""

    name: str
    pages: int
    seconds: float

    @property
    def rate(self) -> float:
        """Pages a second."""
        return self.pages / self.seconds


@dataclass(frozen=True)
class Stack:
    """Stores that run, and what workers are told of them."""

    environment: Mapping[str, str]
    database_url: str
    queue_url: str


async def start_stack(directory: Path, launcher: Launcher, host: str, concurrency: int) -> Stack:
    """The stores of one deployment, whose crawler may visit `host`."""
    await install_cloud()
    urls, valkey, cloud = await asyncio.gather(
        start_postgres(directory / "postgres", launcher, durable=False),
        start_valkey(directory / "valkey", launcher),
        start_cloud(directory / "cloud", launcher, durable=False),
    )
    deployment = Deployment(cloud)
    queues = await deployment.queues("bench")
    await deployment.bucket("bench")
    os.environ.update(cloud.environment)
    environment = {
        **cloud.environment,
        "PYTHONPATH": f"functions{os.pathsep}.",
        "WEIR_DATABASE_SECRET": "env:CRAWL_DATABASE_URL",
        "CRAWL_DATABASE_URL": urls.login,
        "WEIR_VALKEY_URL": valkey,
        # A busy machine must not pass for a slow Valkey.
        "WEIR_VALKEY_TIMEOUT_MS": "2000",
        "WEIR_BUCKET": "bench",
        "WEIR_SCRAPING_QUEUE_URL": queues.scraping,
        "WEIR_USAGE_QUEUE_URL": queues.usage,
        "WEIR_CRAWLER_PERMITTED_HOSTS": host,
        "WEIR_CRAWLER_DELAY_SECONDS": "0",
        "WEIR_CRAWLER_HOST_REQUESTS": str(concurrency),
        "WEIR_LOG_LEVEL": "WARNING",
    }
    return Stack(environment, urls.login, queues.scraping)


async def weir(stack: Stack, launcher: Launcher, start: str, pages: int, workers: int) -> Result:
    """Crawl with so many worker processes, from the first message to the end of the scrape."""
    argv = [sys.executable, "-m", "local.servers.worker", "scraping", stack.queue_url]
    for number in range(workers):
        program = Program(name=f"worker-{number}", argv=argv, environment=stack.environment)
        child = await launcher.start(program)
        await child.ready(lambda child=child: _said(child.output()), timeout=60)  # type: ignore[misc]
    database = Database(stack.database_url, pool_size=1)
    await database.open()
    try:
        began = time.perf_counter()
        scrape = await _crawl(database, stack, start, pages)
        return Result("Weir", scrape.page_counts.completed, time.perf_counter() - began)
    finally:
        await database.close()


async def _said(output: str) -> bool:
    return TAKES_EVENTS in output


async def _crawl(database: Database, stack: Stack, start: str, pages: int) -> Scrape:
    new = NewScrape(tenant_id="bench", start_urls=(start,), depth_limit=100, page_limit=pages)
    async with database.tenant("bench") as connection:
        scrape = await create_scrape(connection, new, datetime.now(UTC))
        messages = await first_messages(connection, "bench", scrape.scrape_id)
    await Queue(stack.queue_url).send(messages)
    while scrape.status in ("queued", "running"):
        await asyncio.sleep(0.5)
        async with database.tenant("bench") as connection:
            scrape = await get_scrape(connection, scrape.scrape_id)
    return scrape


def install_scrapy() -> Path:
    """The Python of an environment with Scrapy.

    Raises:
        LocalError: It cannot be installed.
    """
    home = ROOT / ".tools" / "bench" / "scrapy"
    python, mark = home / "bin" / "python", home / "installed.txt"
    wanted = f"{_SCRAPY} {_EXTRACTOR}"
    if mark.exists() and mark.read_text() == wanted:
        return python
    uv = Path(sys.executable).with_name("uv")
    for argv in (
        [str(uv), "venv", "--quiet", "--clear", f"--python={sys.executable}", str(home)],
        [str(uv), "pip", "install", "--quiet", f"--python={python}", _SCRAPY, _EXTRACTOR],
    ):
        if subprocess.run(argv, check=False).returncode:
            raise LocalError("Scrapy cannot be installed.")
    mark.write_text(wanted)
    return python


async def scrapy(
    name: str, python: Path, start: str, concurrency: int, directory: Path, *mode: str
) -> Result:
    """Crawl with Scrapy, one process, as it is."""
    await asyncio.to_thread(directory.mkdir)
    script = Path(__file__).with_name("crawl_scrapy.py")
    process = await asyncio.create_subprocess_exec(
        *(str(python), str(script), start, str(concurrency), str(directory), *mode),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise LocalError(f"Scrapy ended with code {process.returncode}.")
    said = json.loads(output.splitlines()[-1])
    return Result(name, said["pages"], said["seconds"])


async def run(pages: int, concurrency: int, workers: int, directory: Path) -> list[Result]:
    """Every crawl, one after the other."""
    python = await asyncio.to_thread(install_scrapy)
    port = free_port()
    start = f"http://127.0.0.1:{port}/page/0"
    async with Launcher(directory / "logs") as launcher:
        argv = [sys.executable, "-m", "bench.crawl_site", str(port), str(pages), str(_DELAY_MS)]
        site = await launcher.start(Program(name="site", argv=argv))
        await site.ready(lambda: _serves(port))
        results = [
            await scrapy("Scrapy, fetching only", python, start, concurrency, directory / "bare", "bare"),
            await scrapy("Scrapy, to Markdown", python, start, concurrency, directory / "markdown"),
        ]
        stack = await start_stack(directory, launcher, f"127.0.0.1:{port}", concurrency)
        async with Launcher(directory / "worker-logs") as crew:
            results.append(await weir(stack, crew, start, pages, workers))
    return results


async def _serves(port: int) -> bool:
    try:
        async with aiohttp.request("GET", f"http://127.0.0.1:{port}/stats") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


def show(results: list[Result], concurrency: int) -> None:
    """Print the table."""
    table = Table(title=f"{concurrency} pages at once, each {_DELAY_MS} ms at the site")
    for column in ("", "pages", "seconds", "pages/s"):
        table.add_column(column, justify="right" if column else "left")
    for result in results:
        table.add_row(result.name, f"{result.pages:,}", f"{result.seconds:.1f}", f"{result.rate:.0f}")
    Console(width=110).print(table)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pages", type=int, default=5_000)
    parser.add_argument("--concurrency", type=int, default=16, help="requests at the site at once")
    parser.add_argument("--workers", type=int, default=3, help="processes of Weir, ten pages each")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="weir-bench-", ignore_cleanup_errors=True) as name:
        # PostgreSQL runs as another user when this runs as root.
        Path(name).chmod(0o755)
        results = asyncio.run(run(arguments.pages, arguments.concurrency, arguments.workers, Path(name)))
        show(results, arguments.concurrency)


if __name__ == "__main__":
    main()
