"""One message of the scraping queue: a page, from its claim to its end, or a webhook to call.

    claim -> visit in the host's turn -> harvest -> store -> finish, with its links queued -> send them

Every step may be repeated: a worker that dies between two of them leaves a page whose lease runs out, and the
next one does it all again, with the same result. A message that comes back after the end sends what that end
may have left unsent.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics

from scraping.reading import NeedsBrowser, Read, Reader
from scraping.reporting import Reporter
from scraping.storing import recall_kept
from shared.aws.queues import Queue
from shared.errors import NotFoundError
from shared.postgres.database import Database
from shared.telemetry import MetricUnit
from shared.web.answer import FetchFailedError, FetchRefusedError
from shared.web.claiming import SCRAPING, claim_page
from shared.web.frontier import finish_page, pass_page, release_page, unsent
from shared.web.known_pages import KnownPage, remember
from shared.web.messages import FetchPage, ReportScrape, ScrapeMessage
from shared.web.politeness import Later
from shared.web.records import BadSelectorError
from shared.web.scrape_end import report_if_due
from shared.web.scrape_models import PageBusy, PageClaim, PageElsewhere, PageOutcome, Stage
from shared.web.scrapes import fail_scrape

# The longest that SQS delays a message, in seconds.
_LONGEST_DELAY = 900

# Seconds before the second try; they double with each further one.
_BACKOFF = 30.0


@dataclass(frozen=True, kw_only=True)
class Worker:
    """Works on pages, one at a time or several.

    `rendering` is the queue of the browser, if there is one; `attempts`, the tries that a page has; `lease`,
    how long one try may take.
    """

    database: Database
    queue: Queue
    rendering: Queue | None
    reader: Reader
    reporter: Reporter
    attempts: int
    lease: timedelta
    now: Callable[[], datetime]
    log: Logger
    metrics: Metrics

    async def handle(self, message: ScrapeMessage) -> None:
        """Do what the message asks, if it still needs doing. Raises only what another delivery may mend."""
        if isinstance(message, ReportScrape):
            return await self.reporter.report(message)
        # What waits for a browser that is not there any more is read without.
        stages: Sequence[Stage] = SCRAPING if self.rendering else (*SCRAPING, "render")
        async with self.database.tenant(message.tenant_id) as connection:
            claim = await claim_page(connection, message, self.lease, stages=stages)
            known = await recall_kept(connection, claim) if isinstance(claim, PageClaim) else None
            left = await unsent(connection, message) if claim is None else []
        match claim:
            case None:
                return await self.queue.send(left)
            case PageBusy():
                return await self._send_again(message, claim.seconds)
            case PageElsewhere():
                return await self._to_browser(message)
            case PageClaim():
                return await self._take_on(message, claim, known)

    async def _take_on(self, message: FetchPage, claim: PageClaim, known: KnownPage | None) -> None:
        try:
            await self._work(message, claim, known)
        except asyncio.CancelledError:
            # The process is being stopped, which is no fault of the page.
            await self._release(claim, counted=False)
            raise
        except Exception:
            await self._release(claim, counted=True)
            raise

    async def _work(self, message: FetchPage, claim: PageClaim, known: KnownPage | None) -> None:
        if claim.attempts > self.attempts:
            return await self._fail(claim, f"work on this page broke off {self.attempts} times")
        try:
            read = await self.reader.read(claim, known)
        except FetchRefusedError as error:
            return await self._finish(claim, Read(outcome=PageOutcome(status="skipped", reason=error.reason)))
        except FetchFailedError as error:
            return await self._retry(message, claim, error)
        except NotFoundError as error:
            return await self._give_up(claim, error.message)
        except BadSelectorError as error:
            return await self._give_up(claim, str(error))
        match read:
            case Later():
                await self._release(claim, counted=False)
                return await self._send_again(message, read.seconds)
            case NeedsBrowser():
                return await self._render(message, claim)
            case Read():
                return await self._finish(claim, read)

    async def _render(self, message: FetchPage, claim: PageClaim) -> None:
        async with self.database.tenant(claim.tenant_id) as connection:
            waits = await pass_page(connection, claim, "render")
        if waits:
            await self._to_browser(message)

    async def _to_browser(self, message: FetchPage) -> None:
        if self.rendering is not None:
            await self.rendering.send([message])

    async def _retry(self, message: FetchPage, claim: PageClaim, error: FetchFailedError) -> None:
        if not error.transient or claim.attempts >= self.attempts:
            return await self._fail(claim, error.reason)
        await self._release(claim, counted=True)
        delay = max(_BACKOFF * 2 ** (claim.attempts - 1), error.retry_after or 0.0)
        return await self._send_again(message, delay)

    async def _give_up(self, claim: PageClaim, reason: str) -> None:
        """End the whole scrape, which cannot go on."""
        async with self.database.tenant(claim.tenant_id) as connection:
            await fail_scrape(connection, claim.scrape_id, reason)
            messages = await report_if_due(connection, claim.tenant_id, claim.scrape_id)
        await self.queue.send(messages)
        await self._fail(claim, reason)

    async def _fail(self, claim: PageClaim, reason: str) -> None:
        await self._finish(claim, Read(outcome=PageOutcome(status="failed", reason=reason)))

    async def _finish(self, claim: PageClaim, read: Read) -> None:
        outcome = read.outcome
        async with self.database.tenant(claim.tenant_id) as connection:
            messages = await finish_page(connection, claim, outcome, read.findings)
            if messages is not None and read.known is not None:
                await remember(connection, claim.tenant_id, read.known, self.now())
        if messages is None:
            # Its lease ran out meanwhile, and the page is another worker's.
            return
        self.metrics.add_metric(f"Pages{outcome.status.capitalize()}", MetricUnit.Count, 1)
        self.log.info(
            "page ended",
            extra={"scrape_id": claim.scrape_id, "status": outcome.status, "reason": outcome.reason},
        )
        await self.queue.send(messages)

    async def _release(self, claim: PageClaim, *, counted: bool) -> None:
        async with self.database.tenant(claim.tenant_id) as connection:
            await release_page(connection, claim, counted=counted)

    async def _send_again(self, message: FetchPage, seconds: float) -> None:
        await self.queue.send([message], delay_seconds=min(_LONGEST_DELAY, math.ceil(seconds)))
