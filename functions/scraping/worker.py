"""One message of the scraping queue: a page, from its claim to its end, or a webhook to call.

    begin -> visit in the host's turn -> harvest -> record and put its file -> end -> send its links

What pages ask of the database they ask together (`scraping.steps`). Every step may be repeated: a worker that
dies between two of them leaves a page whose lease runs out, and the next one does it all again, with the same
result. A message that comes back after the end sends what that end may have left unsent.
"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics

from scraping.reading import NeedsBrowser, Read, Reader
from scraping.reporting import Reporter
from scraping.steps import Ended, PageSteps, ScrapeKey
from shared.aws.queues import Queue
from shared.errors import NotFoundError
from shared.postgres.database import Database
from shared.telemetry import MetricUnit
from shared.web.answer import FetchFailedError, FetchRefusedError
from shared.web.frontier import pass_page, release_page
from shared.web.known_pages import KnownPage
from shared.web.messages import FetchPage, ReportScrape, ScrapeMessage
from shared.web.politeness import Later
from shared.web.records import BadSelectorError
from shared.web.scrape_end import report_if_due
from shared.web.scrape_models import PageBusy, PageClaim, PageElsewhere, PageEnd, PageOutcome
from shared.web.scrapes import fail_scrape

# The longest that SQS delays a message, in seconds.
_LONGEST_DELAY = 900

# Seconds before the second try; they double with each further one.
_BACKOFF = 30.0


@dataclass(frozen=True, kw_only=True)
class Worker:
    """Works on pages, one at a time or several.

    `rendering` is the queue of the browser, if there is one; `attempts`, the tries that a page has.
    """

    database: Database
    queue: Queue
    rendering: Queue | None
    steps: PageSteps
    reader: Reader
    reporter: Reporter
    attempts: int
    log: Logger
    metrics: Metrics

    async def handle(self, message: ScrapeMessage) -> None:
        """Do what the message asks, if it still needs doing. Raises only what another delivery may mend."""
        if isinstance(message, ReportScrape):
            await self.reporter.report(message)
        else:
            await self._page(message)

    async def _page(self, message: FetchPage) -> None:
        with self.steps.member():
            begun = await self.steps.begin(ScrapeKey.of(message), message)
            match begun.claim:
                case None:
                    await self._send(begun.left)
                case PageBusy():
                    await self._send_again(message, begun.claim.seconds)
                case PageElsewhere():
                    await self._to_browser(message)
                case PageClaim():
                    await self._take_on(message, begun.claim, begun.known)

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
        ended = Ended(PageEnd(claim=claim, outcome=outcome, findings=read.findings), read.known)
        messages = await self.steps.end(ScrapeKey.of(claim), ended)
        if messages is None:
            # Its lease ran out meanwhile, and the page is another worker's.
            return
        self.metrics.add_metric(f"Pages{outcome.status.capitalize()}", MetricUnit.Count, 1)
        self.log.info(
            "page ended",
            extra={"scrape_id": claim.scrape_id, "status": outcome.status, "reason": outcome.reason},
        )
        await self._send(messages)

    async def _send(self, messages: Sequence[ScrapeMessage]) -> None:
        if messages:
            await self.steps.send(None, messages)

    async def _release(self, claim: PageClaim, *, counted: bool) -> None:
        async with self.database.tenant(claim.tenant_id) as connection:
            await release_page(connection, claim, counted=counted)

    async def _send_again(self, message: FetchPage, seconds: float) -> None:
        await self.queue.send([message], delay_seconds=min(_LONGEST_DELAY, math.ceil(seconds)))
