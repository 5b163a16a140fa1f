"""What the pages of a batch ask of the database and the queue, each step once for all that come together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from scraping.document import Document
from scraping.storing import recall_kept, record_files
from shared.aws.queues import Queue
from shared.files.models import StoredFile
from shared.postgres.database import Database
from shared.postgres.group_commit import Crew, Step
from shared.web.claiming import SCRAPING, Claimed, claim_pages
from shared.web.frontier import finish_pages, unsent
from shared.web.known_pages import KnownPage, remember
from shared.web.messages import FetchPage, ScrapeMessage
from shared.web.scrape_models import PageClaim, PageEnd, Stage


class ScrapeKey(NamedTuple):
    """One scrape: what is done together is done for one."""

    tenant_id: str
    scrape_id: str

    @classmethod
    def of(cls, page: FetchPage | PageClaim) -> "ScrapeKey":
        """The scrape of a page."""
        return cls(page.tenant_id, page.scrape_id)


@dataclass(frozen=True)
class Begun:
    """What came of a message: the claim, what is known of the page, and what its end left unsent."""

    claim: Claimed
    known: KnownPage | None = None
    left: tuple[ScrapeMessage, ...] = ()


@dataclass(frozen=True)
class Found:
    """A document that a claimed page became."""

    claim: PageClaim
    document: Document


@dataclass(frozen=True)
class Ended:
    """How a page ended, and what to remember of it."""

    end: PageEnd
    known: KnownPage | None


class PageSteps:
    """The steps of a page, each a call; tasks that take them are a `member`."""

    def __init__(
        self,
        *,
        database: Database,
        queue: Queue,
        renders: bool,
        lease: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        """Args:
        renders: There is a browser for pages that need one.
        lease: How long a claim holds.
        """
        self._database = database
        self._queue = queue
        # What waits for a browser that is not there any more is read without.
        self._stages: Sequence[Stage] = SCRAPING if renders else (*SCRAPING, "render")
        self._lease = lease
        self._now = now
        crew = Crew()
        self.member = crew.member
        self.begin: Step[ScrapeKey, FetchPage, Begun] = crew.step(self._begin)
        self.record: Step[ScrapeKey, Found, StoredFile] = crew.step(self._record)
        self.end: Step[ScrapeKey, Ended, list[ScrapeMessage] | None] = crew.step(self._end)
        self.send: Step[None, Sequence[ScrapeMessage], None] = crew.step(self._send)

    async def _begin(self, key: ScrapeKey, messages: Sequence[FetchPage]) -> list[Begun]:
        async with self._database.tenant(key.tenant_id) as connection:
            claims = await claim_pages(connection, messages, self._lease, stages=self._stages)
            known = await recall_kept(connection, [claim for claim in claims if isinstance(claim, PageClaim)])
            return [
                Begun(claim, known.get(message.url))
                if claim is not None
                else Begun(None, left=tuple(await unsent(connection, message)))
                for message, claim in zip(messages, claims, strict=True)
            ]

    async def _record(self, key: ScrapeKey, found: Sequence[Found]) -> list[StoredFile]:
        async with self._database.tenant(key.tenant_id) as connection:
            return await record_files(connection, [(one.claim, one.document) for one in found], self._now())

    async def _end(self, key: ScrapeKey, ended: Sequence[Ended]) -> list[list[ScrapeMessage] | None]:
        async with self._database.tenant(key.tenant_id) as connection:
            messages = await finish_pages(connection, key.scrape_id, [one.end for one in ended])
            held = [one for one, sent in zip(ended, messages, strict=True) if sent is not None]
            known = [one.known for one in held if one.known is not None]
            await remember(connection, key.tenant_id, known, self._now())
            return messages

    async def _send(self, _: None, messages: Sequence[Sequence[ScrapeMessage]]) -> list[None]:
        await self._queue.send([message for some in messages for message in some])
        return [None for _ in messages]
