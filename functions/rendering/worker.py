"""One message of the rendering queue: a page that needs a browser, rendered and handed back to scraping.

claim -> robots.txt -> the host's turn -> render -> hand back -> send it to scraping
"""

import asyncio
import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics

from rendering.browser import Renderer
from shared.aws.queues import Queue
from shared.postgres.database import Database
from shared.telemetry import MetricUnit
from shared.web.admission import Admission
from shared.web.answer import FetchFailedError, FetchRefusedError
from shared.web.claiming import RENDERING, claim_pages
from shared.web.frontier import finish_pages, release_page
from shared.web.messages import FetchPage
from shared.web.politeness import Later
from shared.web.rendered_pages import Rendered, hand_back
from shared.web.scope import within
from shared.web.scrape_models import PageBusy, PageClaim, PageElsewhere, PageEnd, PageOutcome
from shared.web.urls import normalise

# The longest that SQS delays a message, in seconds.
_LONGEST_DELAY = 900

_BACKOFF = 30.0


@dataclass(frozen=True, kw_only=True)
class RenderingWorker:
    """Works on pages, one at a time."""

    database: Database
    scraping: Queue
    queue: Queue
    renderer: Renderer
    admission: Admission
    attempts: int
    lease: timedelta
    log: Logger
    metrics: Metrics

    async def handle(self, message: FetchPage) -> None:
        """Render the page, if it still waits for that. Raises only what another delivery may mend."""
        async with self.database.tenant(message.tenant_id) as connection:
            [claim] = await claim_pages(connection, [message], self.lease, stages=RENDERING)
        match claim:
            case PageBusy():
                return await self._send_again(message, claim.seconds)
            case PageElsewhere():
                return await self.scraping.send([message])
            case PageClaim():
                return await self._take_on(message, claim)

    async def _take_on(self, message: FetchPage, claim: PageClaim) -> None:
        try:
            await self._work(message, claim)
        except asyncio.CancelledError:
            await self._release(claim, counted=False)
            raise
        except Exception:
            await self._release(claim, counted=True)
            raise

    async def _work(self, message: FetchPage, claim: PageClaim) -> None:
        if claim.attempts > self.attempts:
            reason = f"rendering this page broke off {self.attempts} times"
            return await self._finish(claim, _unrendered("failed", reason))
        try:
            rendered = await self._render(claim)
        except FetchRefusedError as error:
            return await self._finish(claim, _unrendered("skipped", error.reason))
        except FetchFailedError as error:
            return await self._retry(message, claim, error)
        if isinstance(rendered, Later):
            await self._release(claim, counted=False)
            return await self._send_again(message, rendered.seconds)
        return await self._hand_back(message, claim, rendered)

    async def _hand_back(self, message: FetchPage, claim: PageClaim, rendered: Rendered) -> None:
        async with self.database.tenant(claim.tenant_id) as connection:
            waits = await hand_back(connection, claim, rendered)
        if waits:
            self.metrics.add_metric("PagesRendered", MetricUnit.Count, 1)
            await self.scraping.send([message])

    async def _render(self, claim: PageClaim) -> Rendered | Later:
        """The page in its host's turn; a page with all that it loads counts as one visit."""
        turn = await self.admission.ask(claim.url)
        if isinstance(turn, Later):
            return turn
        try:
            rendered = await self.renderer.render(claim.url)
        finally:
            await self.admission.politeness.end(turn)
        return await self._checked(claim, rendered)

    async def _checked(self, claim: PageClaim, rendered: Rendered) -> Rendered:
        """Scripts may lead elsewhere: what is refused to a redirect is refused to them."""
        url = normalise(rendered.url)
        if claim.site is not None and not within(claim.rules, claim.site, url):
            raise FetchRefusedError("it leads to another site")
        await self.admission.robots.permit(url)
        return Rendered(url=url, status=rendered.status, html=rendered.html, robots=rendered.robots)

    async def _retry(self, message: FetchPage, claim: PageClaim, error: FetchFailedError) -> None:
        if not error.transient or claim.attempts >= self.attempts:
            return await self._finish(claim, _unrendered("failed", error.reason))
        await self._release(claim, counted=True)
        return await self._send_again(message, _BACKOFF * 2 ** (claim.attempts - 1))

    async def _finish(self, claim: PageClaim, outcome: PageOutcome) -> None:
        async with self.database.tenant(claim.tenant_id) as connection:
            end = PageEnd(claim=claim, outcome=outcome)
            [messages] = await finish_pages(connection, claim.scrape_id, [end])
        self.log.info("page not rendered", extra={"scrape_id": claim.scrape_id, "reason": outcome.reason})
        await self.scraping.send(messages or [])

    async def _release(self, claim: PageClaim, *, counted: bool) -> None:
        async with self.database.tenant(claim.tenant_id) as connection:
            await release_page(connection, claim, counted=counted)

    async def _send_again(self, message: FetchPage, seconds: float) -> None:
        await self.queue.send([message], delay_seconds=min(_LONGEST_DELAY, math.ceil(seconds)))


def _unrendered(status: Literal["skipped", "failed"], reason: str) -> PageOutcome:
    return PageOutcome(status=status, reason=reason, rendering="needed")
