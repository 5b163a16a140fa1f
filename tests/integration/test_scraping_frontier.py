"""The pages of a scrape as work, over the real database: claims, limits, ends."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import NotFoundError
from shared.postgres.database import Database
from shared.postgres.pages import PageRequest
from shared.web.frontier import claim_page, enqueue_links, finish_page, release_page, stalled_pages
from shared.web.messages import FetchPage
from shared.web.scrape_models import (
    NewScrape,
    PageBusy,
    PageClaim,
    PageCounts,
    PageOutcome,
    Scrape,
    ScrapePage,
)
from shared.web.scrapes import cancel_scrape, create_scrape, get_scrape, list_pages, list_scrapes

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

    async def create(self, *, depth_limit: int = 1, page_limit: int = 10) -> Scrape:
        new = NewScrape(
            tenant_id=self._tenant_id,
            start_url=START,
            depth_limit=depth_limit,
            page_limit=page_limit,
            vector_store_id="vs_1",
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

    async def try_claim(
        self, scrape: Scrape, url: str = START, lease: timedelta = LEASE
    ) -> PageClaim | PageBusy | None:
        async with self._database.tenant(self._tenant_id) as connection:
            return await claim_page(connection, self.message(scrape, url), lease)

    async def claim(self, scrape: Scrape, url: str = START, lease: timedelta = LEASE) -> PageClaim:
        claim = await self.try_claim(scrape, url, lease)
        assert isinstance(claim, PageClaim)
        return claim

    async def enqueue(self, claim: PageClaim, links: Sequence[str]) -> set[str]:
        async with self._database.tenant(self._tenant_id) as connection:
            messages = await enqueue_links(connection, claim, links)
        assert all(message.depth == claim.depth + 1 for message in messages)
        assert len({message.url for message in messages}) == len(messages)
        return {message.url for message in messages}

    async def finish(self, claim: PageClaim, outcome: PageOutcome = COMPLETED) -> bool:
        async with self._database.tenant(self._tenant_id) as connection:
            return await finish_page(connection, claim, outcome)

    async def release(self, claim: PageClaim, *, counted: bool) -> None:
        async with self._database.tenant(self._tenant_id) as connection:
            await release_page(connection, claim, counted=counted)

    async def stalled(self, idle: timedelta, limit: int = 100) -> set[str]:
        async with self._database.tenant(self._tenant_id) as connection:
            for method in ("hashjoin", "mergejoin", "material", "indexscan", "bitmapscan"):
                # Leaves the plan in which a plain subquery runs once per row.
                await connection.execute(f"SET LOCAL enable_{method} = off")
            return {message.url for message in await stalled_pages(connection, idle=idle, limit=limit)}


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
    await work.finish(claim)
    other = await work.claim(scrape, links(1)[0])
    assert not other.follows_links
    pages = await work.pages(scrape)
    assert {(pages[url].depth, pages[url].found_on) for url in links(3)} == {(1, START)}
    assert (await work.get(scrape)).page_counts == PageCounts(completed=1, running=1, queued=2)


async def test_whoever_comes_after_a_death_sends_what_was_not_sent(work: Work) -> None:
    scrape = await work.create(depth_limit=2)
    dead = await work.claim(scrape, lease=NO_LEASE)
    assert await work.enqueue(dead, links(3)) == set(links(3))
    taken = await work.claim(scrape, links(3)[0])
    assert await work.enqueue(taken, links(1, "other")) == set(links(1, "other"))
    claim = await work.claim(scrape)
    assert await work.enqueue(claim, links(3)) == set(links(3)[1:])


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
    await work.finish(start)
    claims = [await work.claim(scrape, url) for url in links(8)]
    assert (await work.get(scrape)).status == "running"
    assert all(await asyncio.gather(*map(work.finish, claims)))
    ended = await work.get(scrape)
    assert (ended.status, ended.page_counts) == ("completed", PageCounts(completed=9))


async def test_cancelling_skips_what_is_queued(work: Work) -> None:
    scrape = await work.create(depth_limit=2)
    start = await work.claim(scrape)
    await work.enqueue(start, links(4))
    await work.finish(start)
    finishing, put_back = await work.claim(scrape, links(4)[0]), await work.claim(scrape, links(4)[1])
    cancelled = await work.cancel(scrape)
    assert cancelled.status == "cancelled"
    assert cancelled.page_counts == PageCounts(completed=1, running=2, skipped=2)
    assert await work.enqueue(finishing, links(1, "more")) == set()
    assert await work.finish(finishing)
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
    start = await work.claim(scrape, lease=NO_LEASE)
    await work.enqueue(start, links(2))
    await work.claim(scrape, links(2)[0])
    ended = await work.create()
    await work.cancel(ended)
    assert await work.stalled(timedelta(hours=1)) == set()
    assert await work.stalled(timedelta(0), limit=1) < {START, links(2)[1]}
    assert await work.stalled(timedelta(0)) == {START, links(2)[1]}
    assert await work.stalled(timedelta(hours=1)) == set()


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
