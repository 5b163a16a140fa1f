"""The pages of a scrape as work, over the real database: claims, limits, ends."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.errors import NotFoundError
from shared.postgres.database import Connection, Database
from shared.postgres.pages import PageRequest
from shared.web.claiming import RENDERING, Claimed, claim_pages
from shared.web.frontier import finish_pages, pass_page, release_page, unsent
from shared.web.messages import FetchPage, ReportScrape, ScrapeMessage
from shared.web.page_end import end_pages
from shared.web.reports import settle_report, take_report
from shared.web.scrape_models import (
    CrawlRules,
    Findings,
    NewScrape,
    PageBusy,
    PageClaim,
    PageCounts,
    PageElsewhere,
    PageEnd,
    PageOutcome,
    Scrape,
    ScrapePage,
)
from shared.web.scrapes import cancel_scrape, create_scrape, get_scrape, list_pages, list_scrapes
from shared.web.stalled import stalled_work

START = "https://example.com/"
LEASE = timedelta(minutes=2)
NO_LEASE = timedelta(0)
COMPLETED = PageOutcome(status="completed", title="A title", file_id="file-1")
SKIPPED = PageOutcome(status="skipped", reason="robots.txt disallows it")


class Work:
    """The functions under test, each in a transaction of one tenant."""

    def __init__(self, database: Database, tenant_id: str) -> None:
        self._database = database
        self._tenant_id = tenant_id

    async def create(self, *, depth_limit: int = 1, page_limit: int = 10, **options: Any) -> Scrape:
        new = NewScrape(
            tenant_id=self._tenant_id,
            start_urls=options.pop("start_urls", (START,)),
            depth_limit=depth_limit,
            page_limit=page_limit,
            vector_store_id="vs_1",
            **options,
        )
        async with self._database.tenant(self._tenant_id) as connection:
            return await create_scrape(connection, new, datetime.now(UTC))

    async def get(self, scrape: Scrape) -> Scrape:
        async with self._database.tenant(self._tenant_id) as connection:
            return await get_scrape(connection, scrape.scrape_id)

    async def pages(self, scrape: Scrape) -> dict[str, ScrapePage]:
        async with self._database.tenant(self._tenant_id) as connection:
            page = await list_pages(connection, scrape.scrape_id, PageRequest(limit=1000, order="asc"))
        return {item.url: item for item in page.items}

    async def cancel(self, scrape: Scrape) -> Scrape:
        async with self._database.tenant(self._tenant_id) as connection:
            return await cancel_scrape(connection, scrape.scrape_id)

    def message(self, scrape: Scrape, url: str = START, depth: int = 0) -> FetchPage:
        return FetchPage(tenant_id=self._tenant_id, scrape_id=scrape.scrape_id, url=url, depth=depth)

    async def try_claim(self, scrape: Scrape, url: str = START, lease: timedelta = LEASE) -> Claimed:
        async with self._database.tenant(self._tenant_id) as connection:
            [claim] = await claim_pages(connection, [self.message(scrape, url)], lease)
        return claim

    async def claim(self, scrape: Scrape, url: str = START, lease: timedelta = LEASE) -> PageClaim:
        claim = await self.try_claim(scrape, url, lease)
        assert isinstance(claim, PageClaim)
        return claim

    async def enqueue(self, claim: PageClaim, links: Sequence[str], **found: Any) -> set[str]:
        """End a page that has these links; the URLs that are to be sent."""
        findings = Findings(urls=tuple(links), site="example.com", **found)
        [messages] = await self.end(PageEnd(claim=claim, outcome=COMPLETED, findings=findings))
        pages = [message for message in messages or () if isinstance(message, FetchPage)]
        assert len({message.url for message in pages}) == len(pages)
        return {message.url for message in pages}

    async def unsent(self, scrape: Scrape, url: str = START) -> set[str]:
        async with self._database.tenant(self._tenant_id) as connection:
            messages = await unsent(connection, self.message(scrape, url))
        return {message.url for message in messages if isinstance(message, FetchPage)}

    async def finish(self, claim: PageClaim, outcome: PageOutcome = COMPLETED) -> bool:
        [messages] = await self.end(PageEnd(claim=claim, outcome=outcome))
        return messages is not None

    async def end(self, *ends: PageEnd) -> list[list[ScrapeMessage] | None]:
        async with self._database.tenant(self._tenant_id) as connection:
            return await finish_pages(connection, ends[0].claim.scrape_id, ends)

    async def release(self, claim: PageClaim, *, counted: bool) -> None:
        async with self._database.tenant(self._tenant_id) as connection:
            await release_page(connection, claim, counted=counted)

    async def stalled(self, idle: timedelta, limit: int = 100) -> set[str]:
        async with self._database.tenant(self._tenant_id) as connection:
            for method in ("hashjoin", "mergejoin", "material", "indexscan", "bitmapscan"):
                # Leaves the plan in which a plain subquery runs once per row.
                await connection.execute(f"SET LOCAL enable_{method} = off")
            messages = await stalled_work(connection, idle=idle, limit=limit)
        return {message.url for message in messages if isinstance(message, FetchPage)}


@pytest.fixture
def work(database: Database, tenant_id: str) -> Work:
    return Work(database, tenant_id)


def links(count: int, prefix: str = "page") -> list[str]:
    return [f"{START}{prefix}{number}" for number in range(count)]


async def test_a_new_scrape_waits_with_its_start_page(work: Work) -> None:
    scrape = await work.create()
    assert (scrape.status, scrape.start_url, scrape.vector_store_id) == ("queued", START, "vs_1")
    assert scrape.page_counts == PageCounts(queued=1)


async def test_one_claim_holds_a_page(work: Work) -> None:
    scrape = await work.create()
    claim = await work.claim(scrape)
    assert (claim.depth, claim.attempts, claim.vector_store_id, claim.follows_links) == (0, 1, "vs_1", True)
    busy = await work.try_claim(scrape)
    assert isinstance(busy, PageBusy)
    assert 0 < busy.seconds <= LEASE.total_seconds()
    assert (await work.get(scrape)).page_counts == PageCounts(running=1)
    assert (await work.get(scrape)).status == "running"


async def test_of_many_at_once_one_claims(work: Work) -> None:
    scrape = await work.create()
    claims = await asyncio.gather(*(work.try_claim(scrape) for _ in range(8)))
    assert sum(isinstance(claim, PageClaim) for claim in claims) == 1
    assert sum(isinstance(claim, PageBusy) for claim in claims) == 7


async def test_the_last_page_ends_the_scrape(work: Work) -> None:
    scrape = await work.create()
    claim = await work.claim(scrape)
    assert await work.finish(claim)
    assert not await work.finish(claim)
    ended = await work.get(scrape)
    assert (ended.status, ended.page_counts) == ("completed", PageCounts(completed=1))
    page = (await work.pages(scrape))[START]
    assert (page.status, page.title, page.file_id) == ("completed", "A title", "file-1")
    assert await work.try_claim(scrape) is None


async def test_a_scrape_without_a_page_has_failed_for_the_reason_of_its_start(work: Work) -> None:
    scrape = await work.create()
    await work.finish(await work.claim(scrape), SKIPPED)
    ended = await work.get(scrape)
    assert (ended.status, ended.error_message) == ("failed", "robots.txt disallows it")


async def test_a_page_whose_worker_died_is_claimed_again(work: Work) -> None:
    scrape = await work.create()
    dead = await work.claim(scrape, lease=NO_LEASE)
    claim = await work.claim(scrape)
    assert claim.attempts == 2
    assert not await work.finish(dead, SKIPPED)
    await work.release(dead, counted=True)
    assert (await work.pages(scrape))[START].status == "running"
    assert await work.finish(claim)


async def test_a_page_put_back_counts_its_tries_or_not(work: Work) -> None:
    scrape = await work.create()
    await work.release(await work.claim(scrape), counted=False)
    assert (await work.pages(scrape))[START].attempts == 0
    await work.release(await work.claim(scrape), counted=True)
    page = (await work.pages(scrape))[START]
    assert (page.status, page.attempts) == ("queued", 1)
    assert (await work.claim(scrape)).attempts == 2


async def test_links_are_queued_once(work: Work) -> None:
    scrape = await work.create()
    claim = await work.claim(scrape)
    assert await work.enqueue(claim, [*links(3), *links(3), START]) == set(links(3))
    other = await work.claim(scrape, links(1)[0])
    assert not other.follows_links
    pages = await work.pages(scrape)
    assert {(pages[url].depth, pages[url].found_on) for url in links(3)} == {(1, START)}
    assert (await work.get(scrape)).page_counts == PageCounts(completed=1, running=1, queued=2)


async def test_a_message_that_comes_again_sends_what_was_not_sent(work: Work) -> None:
    scrape = await work.create(depth_limit=2)
    assert await work.enqueue(await work.claim(scrape), links(3)) == set(links(3))
    taken = await work.claim(scrape, links(3)[0])
    assert await work.try_claim(scrape) is None
    assert await work.unsent(scrape) == set(links(3)[1:])
    assert await work.enqueue(taken, links(1, "other")) == set(links(1, "other"))
    assert await work.unsent(scrape, links(3)[0]) == set(links(1, "other"))
    await work.cancel(scrape)
    assert await work.unsent(scrape) == set()


async def test_depth_ends(work: Work) -> None:
    scrape = await work.create(depth_limit=0)
    claim = await work.claim(scrape)
    assert not claim.follows_links
    assert await work.enqueue(claim, links(3)) == set()
    assert list(await work.pages(scrape)) == [START]


async def test_the_first_links_of_a_page_are_taken_when_not_all_can_be(work: Work) -> None:
    scrape = await work.create(page_limit=3)
    assert await work.enqueue(await work.claim(scrape), links(5)) == set(links(2))


async def test_the_page_limit_holds_for_workers_at_once(work: Work) -> None:
    scrape = await work.create(depth_limit=2, page_limit=50)
    start = await work.claim(scrape)
    assert len(await work.enqueue(start, links(8))) == 8
    claims = [await work.claim(scrape, url) for url in links(8)]
    found = await asyncio.gather(
        # Half of what each finds is found by all.
        *(
            work.enqueue(claim, links(10, "shared") + links(10, f"own{number}-"))
            for number, claim in enumerate(claims)
        )
    )
    assert sum(map(len, found)) == 50 - 1 - 8
    assert len(set().union(*found)) == 50 - 1 - 8
    assert (await work.get(scrape)).page_counts.total == 50


async def test_the_last_pages_may_end_at_once(work: Work) -> None:
    scrape = await work.create()
    start = await work.claim(scrape)
    await work.enqueue(start, links(8))
    claims = [await work.claim(scrape, url) for url in links(8)]
    assert (await work.get(scrape)).status == "running"
    assert all(await asyncio.gather(*map(work.finish, claims)))
    ended = await work.get(scrape)
    assert (ended.status, ended.page_counts) == ("completed", PageCounts(completed=9))


async def test_cancelling_skips_what_is_queued(work: Work) -> None:
    scrape = await work.create(depth_limit=2)
    start = await work.claim(scrape)
    await work.enqueue(start, links(4))
    finishing, put_back = await work.claim(scrape, links(4)[0]), await work.claim(scrape, links(4)[1])
    cancelled = await work.cancel(scrape)
    assert cancelled.status == "cancelled"
    assert cancelled.page_counts == PageCounts(completed=1, running=2, skipped=2)
    assert await work.enqueue(finishing, links(1, "more")) == set()
    await work.release(put_back, counted=True)
    assert await work.try_claim(scrape, links(4)[2]) is None
    ended = await work.cancel(scrape)
    assert (ended.status, ended.page_counts) == ("cancelled", PageCounts(completed=2, skipped=3))


async def test_a_scrape_that_ended_is_not_cancelled(work: Work) -> None:
    scrape = await work.create()
    await work.finish(await work.claim(scrape))
    assert (await work.cancel(scrape)).status == "completed"


async def test_pages_nobody_touches_are_found_once(work: Work) -> None:
    scrape = await work.create()
    held, died, lost = links(3)
    await work.enqueue(await work.claim(scrape), links(3))
    await work.claim(scrape, held)
    await work.claim(scrape, died, lease=NO_LEASE)
    ended = await work.create()
    await work.cancel(ended)
    assert await work.stalled(timedelta(hours=1)) == set()
    assert await work.stalled(timedelta(0), limit=1) < {died, lost}
    assert await work.stalled(timedelta(0)) == {died, lost}
    assert await work.stalled(timedelta(hours=1)) == set()


async def test_a_page_waits_for_whoever_does_its_stage(
    work: Work, database: Database, tenant_id: str
) -> None:
    scrape = await work.create()
    claim = await work.claim(scrape)
    async with database.tenant(tenant_id) as connection:
        assert await pass_page(connection, claim, "render")
        assert not await pass_page(connection, claim, "render")
    assert not await work.finish(claim)
    assert await work.try_claim(scrape) == PageElsewhere("render")
    async with database.tenant(tenant_id) as connection:
        [rendering] = await claim_pages(connection, [work.message(scrape)], LEASE, stages=RENDERING)
        assert isinstance(rendering, PageClaim)
        assert (rendering.stage, rendering.attempts) == ("render", 1)
        assert await pass_page(connection, rendering, "rendered")
    assert (await work.claim(scrape)).stage == "rendered"


async def test_many_start_pages_and_sitemaps_begin_a_scrape(work: Work) -> None:
    sitemap = f"{START}sitemap.xml"
    scrape = await work.create(start_urls=tuple(links(2)), sitemaps=(sitemap,), page_limit=4, depth_limit=0)
    assert (scrape.start_url, scrape.page_counts) == (links(1)[0], PageCounts(queued=2))
    claim = await work.claim(scrape, sitemap)
    assert (claim.kind, claim.follows_links) == ("sitemap", True)
    nested = f"{START}more.xml"
    assert await work.enqueue(claim, links(5), sitemaps=(nested,)) == {*links(4)[2:], nested}
    pages = await work.pages(scrape)
    assert {(pages[url].kind, pages[url].depth) for url in links(4)} == {("page", 0)}
    assert (pages[nested].kind, pages[sitemap].kind) == ("sitemap", "sitemap")
    # Sitemaps are no pages.
    assert (await work.get(scrape)).page_counts == PageCounts(queued=4)


async def test_a_scrape_ends_when_it_has_read_its_bytes(work: Work) -> None:
    scrape = await work.create(byte_limit=1_000)
    await work.enqueue(await work.claim(scrape), links(4))
    small, large = await work.claim(scrape, links(4)[0]), await work.claim(scrape, links(4)[1])
    await work.finish(small, replace(COMPLETED, bytes=999))
    assert (await work.get(scrape)).status == "running"
    await work.finish(large, replace(COMPLETED, bytes=1))
    ended = await work.get(scrape)
    assert (ended.status, ended.bytes_read) == ("completed", 1_000)
    assert ended.page_counts == PageCounts(completed=3, skipped=2)


async def test_a_page_with_nearly_the_same_text_is_marked(work: Work) -> None:
    scrape = await work.create()
    await work.enqueue(await work.claim(scrape), links(4))
    hashes = (2**64 - 1, 2**64 - 8, 2**64 - 16, None)
    for url, simhash in zip(links(4), hashes, strict=True):
        await work.finish(await work.claim(scrape, url), replace(COMPLETED, simhash=simhash))
    pages = await work.pages(scrape)
    assert [pages[url].similar_to for url in links(4)] == [None, links(1)[0], links(2)[1], None]


async def test_the_end_is_to_be_reported_once(work: Work, database: Database, tenant_id: str) -> None:
    rules = CrawlRules(webhook_url="https://example.com/hook")
    scrape = await work.create(rules=rules, webhook_secret="whsec_c2VjcmV0")
    claim = await work.claim(scrape)
    [messages] = await work.end(PageEnd(claim=claim, outcome=COMPLETED))
    async with database.tenant(tenant_id) as connection:
        due = ReportScrape(tenant_id=tenant_id, scrape_id=scrape.scrape_id, attempt=0)
        assert messages == [due]
        report = await take_report(connection, due)
        assert report is not None
        assert report.url == "https://example.com/hook"
        assert await take_report(connection, due) is None
    async with database.tenant(tenant_id) as connection:
        # Its answer may never have come.
        stalled = await stalled_work(connection, idle=timedelta(0), limit=10)
        assert stalled == [ReportScrape(tenant_id=tenant_id, scrape_id=scrape.scrape_id, attempt=1)]
    async with database.tenant(tenant_id) as connection:
        await settle_report(connection, scrape.scrape_id, "delivered")
        assert await stalled_work(connection, idle=timedelta(0), limit=10) == []


async def test_tenants_do_not_see_each_others_scrapes(work: Work, database: Database) -> None:
    scrape = await work.create()
    stranger = Work(database, "another-tenant")
    assert await stranger.try_claim(scrape) is None
    assert await stranger.stalled(timedelta(0)) == set()
    with pytest.raises(NotFoundError):
        await stranger.get(scrape)
    with pytest.raises(NotFoundError):
        await stranger.cancel(scrape)
    assert (await work.get(scrape)).status == "queued"


async def test_scrapes_and_pages_come_in_parts(database: Database, work: Work, tenant_id: str) -> None:
    made = [await work.create(page_limit=100) for _ in range(3)]
    await work.enqueue(await work.claim(made[0]), links(5))
    async with database.tenant(tenant_id) as connection:
        newest = await list_scrapes(connection, PageRequest(limit=2))
        rest = await list_scrapes(connection, PageRequest(limit=2, after=newest.items[-1].scrape_id))
        pages = await list_pages(connection, made[0].scrape_id, PageRequest(limit=4, order="asc"))
        queued = await list_pages(
            connection, made[0].scrape_id, PageRequest(limit=100, order="asc"), status="queued"
        )
    assert {scrape.scrape_id for scrape in newest.items + rest.items} == {s.scrape_id for s in made}
    assert (newest.has_more, rest.has_more) == (True, False)
    assert ([page.url for page in pages.items], pages.has_more) == ([START, *links(3)], True)
    assert [page.url for page in queued.items] == links(5)


async def test_pages_are_claimed_and_end_together(work: Work, database: Database, tenant_id: str) -> None:
    scrape = await work.create(page_limit=6, depth_limit=2)
    await work.enqueue(await work.claim(scrape), links(3))
    first, second, third = links(3)
    await work.claim(scrape, third)
    async with database.tenant(tenant_id) as connection:
        wanted = [work.message(scrape, url, depth=1) for url in (second, first, second, third, START)]
        claims = await claim_pages(connection, wanted, LEASE)
    one, other, again, taken, ended = claims
    assert isinstance(one, PageClaim)
    assert isinstance(other, PageClaim)
    assert (one.url, other.url, ended) == (second, first, None)
    assert isinstance(again, PageBusy)
    assert isinstance(taken, PageBusy)

    new = links(3, "new")
    near = [replace(COMPLETED, simhash=simhash) for simhash in (2**63 + 5, 2**63 + 4)]
    said = await work.end(
        PageEnd(claim=replace(one, attempts=7), outcome=COMPLETED),
        PageEnd(claim=one, outcome=near[0], findings=Findings(urls=(new[1], new[0]), site="example.com")),
        PageEnd(claim=other, outcome=near[1], findings=Findings(urls=(new[1], new[2]), site="example.com")),
    )
    # Each new page is found once, by the first, and the sixth page of the scrape is the last.
    queued = [[work.message(scrape, url, depth=2) for url in urls] for urls in ((new[1], new[0]), ())]
    assert said == [None, *queued]
    pages = await work.pages(scrape)
    assert set(pages) == {START, *links(3), *new[:2]}
    assert (pages[new[1]].found_on, pages[first].similar_to, pages[second].similar_to) == (
        second,
        second,
        None,
    )


async def test_similar_pages_are_found_by_index(work: Work, database: Database, tenant_id: str) -> None:
    scrape = await work.create(page_limit=100_000)
    claim = await work.claim(scrape)
    async with database.tenant(tenant_id) as connection:
        await connection.execute(
            """
            INSERT INTO scrape_pages (tenant_id, scrape_id, url, kind, depth, status, simhash,
                                      simhash_0, simhash_1, simhash_2, simhash_3)
            SELECT %s, %s, 'https://example.com/' || n, 'page', 1, 'completed', n, n %% 7919, n %% 7907,
                   n %% 7901, n %% 7883
            FROM generate_series(1, 20000) n
            """,
            (tenant_id, scrape.scrape_id),
        )
        end = PageEnd(claim=claim, outcome=replace(COMPLETED, simhash=5 << 48 | 1))
        before = await scans(connection)
        assert await end_pages(connection, scrape.scrape_id, [end]) == [True]
        after = await scans(connection)
    assert [now - then for now, then in zip(after, before, strict=True)] == [0, 1, 1, 1, 1]


async def scans(connection: Connection) -> list[int]:
    """Of the pages from end to end, and of each of the four indexes, by PostgreSQL's own count."""
    cursor = await connection.execute(
        """
        SELECT pg_stat_get_xact_numscans('scrape_pages'::regclass) AS count
        UNION ALL (
            SELECT pg_stat_get_xact_numscans(('scrape_pages_simhash_' || n)::regclass)
            FROM generate_series(0, 3) n ORDER BY n)
        """
    )
    return [row["count"] for row in await cursor.fetchall()]
