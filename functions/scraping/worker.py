"""One message of the scraping queue, from the claim of its page to the end of it.

    claim -> wait for the host's turn -> fetch -> harvest -> store -> queue its links -> send them -> finish

Every step may be repeated: a worker that dies between two of them leaves a page whose lease runs out, and the
next one does it all again, with the same result.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics

from scraping.document import Harvest, harvest
from scraping.storing import store
from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.errors import NotFoundError
from shared.postgres.database import Database
from shared.telemetry import MetricUnit
from shared.web.answer import Fetched, FetchFailedError, FetchRefusedError, unsuccessful
from shared.web.fetch import Fetcher
from shared.web.frontier import claim_page, enqueue_links, finish_page, release_page
from shared.web.media import is_wanted
from shared.web.messages import FetchPage
from shared.web.politeness import HostClock
from shared.web.robots import Robots
from shared.web.scrape_models import PageBusy, PageClaim, PageOutcome
from shared.web.scrapes import fail_scrape
from shared.web.urls import origin, same_site

# The longest that SQS delays a message, in seconds.
_LONGEST_DELAY = 900

# Seconds that a turn is waited for in the function; whoever must wait longer goes back to the queue.
_PATIENCE = 2.0

# Seconds before the second try; they double with each further one.
_BACKOFF = 30.0


@dataclass(frozen=True, kw_only=True)
class Worker:
    """Works on pages, one at a time or several.

    `product` is the crawler's name for robots.txt; `delay` the least seconds between two requests to a host;
    `attempts` the tries that a page has; `lease` how long one try may take.
    """

    database: Database
    objects: Objects
    queue: Queue
    fetcher: Fetcher
    robots: Robots
    clock: HostClock
    product: str
    delay: float
    attempts: int
    lease: timedelta
    now: Callable[[], datetime]
    log: Logger
    metrics: Metrics

    async def handle(self, message: FetchPage) -> None:
        """Do what the message asks, if it still needs doing. Raises only what another delivery may mend."""
        async with self.database.tenant(message.tenant_id) as connection:
            claim = await claim_page(connection, message, self.lease)
        if isinstance(claim, PageBusy):
            await self._send_again(message, claim.seconds)
        elif claim is not None:
            try:
                await self._work(message, claim)
            except asyncio.CancelledError:
                # The process is being stopped, which is no fault of the page.
                await self._release(claim, counted=False)
                raise
            except Exception:
                await self._release(claim, counted=True)
                raise

    async def _work(self, message: FetchPage, claim: PageClaim) -> None:
        if claim.attempts > self.attempts:
            reason = f"work on this page broke off {self.attempts} times"
            return await self._finish(claim, PageOutcome(status="failed", reason=reason))
        try:
            if wait := await self._turn(claim.url):
                await self._release(claim, counted=False)
                return await self._send_again(message, wait)
            harvested = await harvest(await self._fetch(claim), product=self.product)
        except FetchRefusedError as error:
            return await self._finish(claim, PageOutcome(status="skipped", reason=error.reason))
        except FetchFailedError as error:
            return await self._retry(message, claim, error)
        return await self._keep(claim, harvested)

    async def _turn(self, url: str) -> float:
        """Wait until the host may be asked; or, if that is long, the seconds after which to come back."""
        ruling = await self.robots.ruling(url)
        if not ruling.allowed:
            raise FetchRefusedError("robots.txt disallows it")
        delay = max(self.delay, ruling.crawl_delay)
        while wait := self.clock.take_turn(origin(url), delay):
            if wait > _PATIENCE:
                return self.clock.join_line(origin(url), delay)
            await asyncio.sleep(wait)
        return 0.0

    async def _fetch(self, claim: PageClaim) -> Fetched:
        async def permit(url: str) -> None:
            # The start page may redirect anywhere: from a bare domain to www, from an old name to a new one.
            if claim.depth > 0 and not same_site(url, claim.url):
                raise FetchRefusedError("it redirects to another site")
            if url != claim.url:
                await self.robots.permit(url)

        fetched = await self.fetcher.fetch(claim.url, permit=permit, accepts=is_wanted)
        if not 200 <= fetched.status < 300:
            raise unsuccessful(fetched, self.now())
        return fetched

    async def _keep(self, claim: PageClaim, harvested: Harvest) -> None:
        outcome = PageOutcome(status="skipped", reason=harvested.reason)
        if harvested.document is not None:
            try:
                file = await store(self.database, self.objects, claim, harvested.document, self.now())
            except NotFoundError as error:
                return await self._give_up(claim, error.message)
            outcome = PageOutcome(status="completed", title=harvested.document.title, file_id=file.file_id)
        await self._follow(claim, harvested)
        return await self._finish(claim, outcome)

    async def _follow(self, claim: PageClaim, harvested: Harvest) -> None:
        async with self.database.tenant(claim.tenant_id) as connection:
            messages = await enqueue_links(connection, claim, harvested.links)
        await self.queue.send(messages)

    async def _retry(self, message: FetchPage, claim: PageClaim, error: FetchFailedError) -> None:
        if not error.transient or claim.attempts >= self.attempts:
            return await self._finish(claim, PageOutcome(status="failed", reason=error.reason))
        await self._release(claim, counted=True)
        delay = max(_BACKOFF * 2 ** (claim.attempts - 1), error.retry_after or 0.0)
        return await self._send_again(message, delay)

    async def _give_up(self, claim: PageClaim, reason: str) -> None:
        """End the whole scrape, whose pages have nowhere to go."""
        async with self.database.tenant(claim.tenant_id) as connection:
            await fail_scrape(connection, claim.scrape_id, reason)
        await self._finish(claim, PageOutcome(status="failed", reason=reason))

    async def _finish(self, claim: PageClaim, outcome: PageOutcome) -> None:
        async with self.database.tenant(claim.tenant_id) as connection:
            ended = await finish_page(connection, claim, outcome)
        if not ended:
            # Its lease ran out meanwhile, and the page is another worker's.
            return
        self.metrics.add_metric(f"Pages{outcome.status.capitalize()}", MetricUnit.Count, 1)
        self.log.info(
            "page ended",
            extra={"scrape_id": claim.scrape_id, "status": outcome.status, "reason": outcome.reason},
        )

    async def _release(self, claim: PageClaim, *, counted: bool) -> None:
        async with self.database.tenant(claim.tenant_id) as connection:
            await release_page(connection, claim, counted=counted)

    async def _send_again(self, message: FetchPage, seconds: float) -> None:
        await self.queue.send([message], delay_seconds=min(_LONGEST_DELAY, math.ceil(seconds)))
