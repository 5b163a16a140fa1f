"""Calls the webhooks of scrapes that have ended."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from aws_lambda_powertools import Logger

from shared.aws.queues import Queue
from shared.postgres.database import Database
from shared.web.messages import ReportScrape
from shared.web.reports import settle_report, take_report
from shared.web.webhook import deliver

# Seconds until the next try; after the last the report has failed.
_DELAYS = (10, 60, 300, 900, 900)

_GONE = 410


@dataclass(frozen=True, kw_only=True)
class Reporter:
    """Delivers reports, and tries again later those that were not taken."""

    database: Database
    queue: Queue
    user_agent: str
    permitted_hosts: tuple[str, ...]
    now: Callable[[], datetime]
    log: Logger

    async def report(self, message: ReportScrape) -> None:
        """One try. A message that comes twice tries once."""
        async with self.database.tenant(message.tenant_id) as connection:
            report = await take_report(connection, message)
        if report is None:
            return None
        status = await deliver(
            report, self.now(), user_agent=self.user_agent, permitted_hosts=self.permitted_hosts
        )
        extra = {"scrape_id": message.scrape_id, "attempt": message.attempt, "answer": status}
        self.log.info("webhook called", extra=extra)
        if status is not None and 200 <= status < 300:
            return await self._settle(message, delivered=True)
        if status == _GONE or message.attempt >= len(_DELAYS):
            return await self._settle(message, delivered=False)
        again = message.model_copy(update={"attempt": message.attempt + 1})
        return await self.queue.send([again], delay_seconds=_DELAYS[message.attempt])

    async def _settle(self, message: ReportScrape, *, delivered: bool) -> None:
        async with self.database.tenant(message.tenant_id) as connection:
            await settle_report(connection, message.scrape_id, "delivered" if delivered else "failed")
