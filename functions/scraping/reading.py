"""One page or sitemap, from its visit to what it comes to. Nothing is written but files."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from scraping.document import Document, Harvest, harvest
from scraping.filling import Filler
from scraping.steps import Found, PageSteps, ScrapeKey
from scraping.storing import take_away
from scraping.visiting import Visitor
from shared.aws.objects import Objects
from shared.postgres.database import Database
from shared.web.answer import Fetched, FetchRefusedError, unsuccessful
from shared.web.filling import Filled
from shared.web.known_pages import KnownPage, known_page
from shared.web.media import is_wanted, may_be_wanted
from shared.web.politeness import Later
from shared.web.rendered_pages import rendered_page
from shared.web.scope import admits, within
from shared.web.scrape_models import NOTHING_FOUND, Change, Findings, PageClaim, PageOutcome, Rendering
from shared.web.sitemap import is_sitemap, read_sitemap
from shared.web.urls import site_of

_NO_BROWSER = "its text needs JavaScript, and there is no browser to render it"

_GONE = frozenset((404, 410))


@dataclass(frozen=True, kw_only=True)
class Read:
    """How a page ended, what it led to, and what to remember of it."""

    outcome: PageOutcome
    findings: Findings = NOTHING_FOUND
    known: KnownPage | None = None


@dataclass(frozen=True)
class Kept:
    """The file of a page, and what is new about it."""

    file_id: str
    change: Change


@dataclass(frozen=True)
class NeedsBrowser:
    """Only a browser shows what is on the page."""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Reads pages. `product` is the crawler's name; `renders`: there is a browser for pages that need it.

    `extraction` lets one page at a time: it keeps the processor busy, and memory bounded.
    """

    database: Database
    objects: Objects
    steps: PageSteps
    visitor: Visitor
    filler: Filler
    product: str
    renders: bool
    now: Callable[[], datetime]
    extraction: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def read(self, claim: PageClaim, known: KnownPage | None) -> Read | Later | NeedsBrowser:
        """Read what is claimed.

        Raises:
            FetchRefusedError: It is not to be read.
            FetchFailedError: It could not be read.
            NotFoundError: The vector store is gone.
            BadSelectorError: The scrape asks for records by a selector that is none.
        """
        if claim.kind == "sitemap":
            return await self._read_sitemap(claim)
        # Records are taken from the page itself, so it is wanted whole.
        there = known is not None and known.there
        conditional = there and claim.rules.records is None and claim.rules.render != "always"
        fetched = await self._fetch(claim, known if conditional else None)
        if isinstance(fetched, Later):
            return fetched
        if fetched.status == 304 and known is not None:
            return self._unchanged(claim, fetched, known)
        if fetched.status in _GONE:
            return await self._gone(claim, fetched)
        if not 200 <= fetched.status < 300:
            raise unsuccessful(fetched, self.now())
        async with self.extraction:
            harvested = await harvest(fetched, product=self.product, rules=claim.rules)
        if harvested.scripted and claim.rules.render != "never" and claim.stage == "fetch" and self.renders:
            return NeedsBrowser()
        filled = await self.filler.records(claim, harvested, known)
        return await self._keep(claim, fetched, harvested, filled, known)

    async def _fetch(self, claim: PageClaim, known: KnownPage | None) -> Fetched | Later:
        async def redirect(url: str) -> None:
            # The start page may redirect anywhere: from a bare domain to www, from an old name to a new one.
            if claim.site is not None and not within(claim.rules, claim.site, url):
                raise FetchRefusedError("it redirects to another site")

        if claim.stage == "rendered":
            async with self.database.tenant(claim.tenant_id) as connection:
                if (rendered := await rendered_page(connection, claim)) is not None:
                    return rendered
        validators = known.validators if known is not None else None
        return await self.visitor.visit(
            claim.url, accepts=is_wanted, redirect=redirect, validators=validators
        )

    async def _read_sitemap(self, claim: PageClaim) -> Read | Later:
        async def redirect(url: str) -> None:
            return None

        fetched = await self.visitor.visit(claim.url, accepts=is_sitemap, redirect=redirect)
        if isinstance(fetched, Later):
            return fetched
        if not 200 <= fetched.status < 300:
            raise unsuccessful(fetched, self.now())
        sitemap = read_sitemap(fetched.body)
        site = claim.site or site_of(fetched.url)
        findings = Findings(
            urls=_wanted(claim, site, sitemap.pages),
            sitemaps=tuple(url for url in sitemap.sitemaps if within(claim.rules, site, url)),
            site=site,
        )
        return Read(outcome=PageOutcome(status="completed", bytes=len(fetched.body)), findings=findings)

    def _unchanged(self, claim: PageClaim, fetched: Fetched, known: KnownPage) -> Read:
        outcome = PageOutcome(
            status="completed", title=known.title, file_id=known.file_id, change="unchanged"
        )
        return Read(outcome=outcome, findings=_findings(claim, fetched.url, known.links), known=known)

    async def _gone(self, claim: PageClaim, fetched: Fetched) -> Read:
        reason = f"status {fetched.status}"
        if await take_away(self.database, self.objects, claim):
            return Read(outcome=PageOutcome(status="skipped", reason=f"{reason}: it is gone", change="gone"))
        return Read(outcome=PageOutcome(status="failed", reason=reason))

    async def _keep(
        self,
        claim: PageClaim,
        fetched: Fetched,
        harvested: Harvest,
        filled: Filled,
        known: KnownPage | None,
    ) -> Read:
        findings = _findings(claim, fetched.url, harvested.links)
        outcome = PageOutcome(
            status="completed",
            rendering=_rendering(claim, harvested),
            bytes=len(fetched.body),
            records=filled.records,
        )
        if (document := harvested.document) is None:
            return Read(outcome=await self._skipped(claim, harvested, outcome), findings=findings)
        kept = await self._store(claim, document, known)
        remembered = known_page(
            claim.url,
            fetched,
            file_id=kept.file_id,
            sha256=document.sha256,
            title=document.title,
            links=harvested.links,
            static=outcome.rendering == "none",
            filled=filled,
        )
        outcome = replace(
            outcome,
            title=document.title,
            file_id=kept.file_id,
            reason=filled.reason,
            change=kept.change,
            simhash=harvested.simhash,
        )
        return Read(outcome=outcome, findings=findings, known=remembered)

    async def _store(self, claim: PageClaim, document: Document, known: KnownPage | None) -> Kept:
        """Write the records, then the object, whose event starts ingestion. Repeating it changes nothing.

        What has not changed is left alone, and so costs no embedding.

        Raises:
            NotFoundError: The vector store is gone.
        """
        change = _change(known, document)
        if known is not None and change == "unchanged":
            return Kept(known.file_id, change)
        file = await self.steps.record(ScrapeKey.of(claim), Found(claim, document))
        await self.objects.put(file.object_key, document.body, document.media_type)
        return Kept(file.file_id, change)

    async def _skipped(self, claim: PageClaim, harvested: Harvest, outcome: PageOutcome) -> PageOutcome:
        """Nothing is kept of the page, nor of what it was."""
        taken = harvested.withdrawn and await take_away(self.database, self.objects, claim)
        return replace(
            outcome,
            status="skipped",
            reason=_NO_BROWSER if outcome.rendering == "needed" else harvested.reason,
            change="gone" if taken else None,
        )


def _change(known: KnownPage | None, document: Document) -> Change:
    if known is None or not known.there:
        return "new"
    same = (known.final_url, known.content_sha256) == (document.url, document.sha256)
    return "unchanged" if same else "changed"


def _rendering(claim: PageClaim, harvested: Harvest) -> Rendering:
    if claim.stage == "rendered":
        return "done"
    return "needed" if harvested.scripted and claim.rules.render != "never" else "none"


def _findings(claim: PageClaim, url: str, links: tuple[str, ...]) -> Findings:
    site = claim.site or site_of(url)
    return Findings(urls=_wanted(claim, site, links) if claim.follows_links else (), site=site)


def _wanted(claim: PageClaim, site: str, links: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(link for link in links if admits(claim.rules, site, link) and may_be_wanted(link))
