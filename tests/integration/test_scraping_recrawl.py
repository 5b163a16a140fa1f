"""Sites that are scraped again: unchanged pages cost nothing, pages that are gone leave the knowledge."""

from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.errors import NotFoundError
from shared.knowledge.store_files import get_store_file
from shared.postgres.pages import PageRequest
from shared.web.schedules import create_schedule, delete_schedule, list_schedules, start_due
from shared.web.scrape_models import NewScrape, PageCounts, Scrape
from shared.web.scrapes import get_scrape
from tests.integration.scraping_crawler import Crawler
from tests.integration.scraping_site import Site, article

pytest_plugins = ["tests.integration.scraping_fixtures"]

TAGGED = {"ETag": '"1"', "Last-Modified": "Mon, 06 May 2024 00:00:00 GMT"}


def tagged(html: str) -> web.Response:
    return web.Response(text=html, content_type="text/html", headers=TAGGED)


async def conditional(request: web.Request) -> web.StreamResponse:
    if request.headers.get("If-None-Match") == TAGGED["ETag"]:
        return web.Response(status=304, headers=TAGGED)
    return tagged(article("Start", "/a"))


async def test_a_page_that_the_server_knows_to_be_unchanged_is_not_sent(
    site: Site, crawler: Crawler, store_id: str
) -> None:
    site.pages |= {"/": conditional, "/a": article("A")}
    await crawler.crawl(f"{site.url}/", vector_store_id=store_id)
    assert "If-None-Match" not in site.visits[1].headers
    site.visits.clear()
    again = await crawler.crawl(f"{site.url}/", vector_store_id=store_id)
    page = (await crawler.pages(again))["/"]
    assert (page.status, page.change, page.title) == ("completed", "unchanged", "Start")
    assert page.file_id == (await crawler.file(f"{site.url}/")).file_id
    # Its links are followed as before.
    assert (again.page_counts, again.unchanged) == (PageCounts(completed=2), 2)
    assert site.visits[0].headers["If-None-Match"] == TAGGED["ETag"]
    assert site.visits[0].headers["If-Modified-Since"] == TAGGED["Last-Modified"]


async def test_the_same_content_is_not_stored_again(
    site: Site, crawler: Crawler, objects: Objects, store_id: str
) -> None:
    site.pages["/"] = article("Start")
    await crawler.crawl(f"{site.url}/", vector_store_id=store_id)
    file = await crawler.file(f"{site.url}/")
    await objects.put(file.object_key, b"as ingestion left it", "text/markdown")
    unchanged = await crawler.crawl(f"{site.url}/", vector_store_id=store_id)
    assert (await crawler.pages(unchanged))["/"].change == "unchanged"
    assert await objects.get(file.object_key) == b"as ingestion left it"
    site.pages["/"] = article("Changed")
    changed = await crawler.crawl(f"{site.url}/", vector_store_id=store_id)
    assert (await crawler.pages(changed))["/"].change == "changed"
    assert (await objects.get(file.object_key)).startswith(b"# Changed")


async def test_an_unchanged_page_is_fetched_whole_for_another_store(
    site: Site, crawler: Crawler, store_id: str
) -> None:
    site.pages["/"] = conditional
    await crawler.crawl(f"{site.url}/", depth_limit=0)
    scrape = await crawler.crawl(f"{site.url}/", depth_limit=0, vector_store_id=store_id)
    assert (await crawler.pages(scrape))["/"].change == "new"
    file = await crawler.file(f"{site.url}/")
    async with crawler.database.tenant(crawler.tenant_id) as connection:
        assert (await get_store_file(connection, store_id, file.file_id)).status == "in_progress"


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (web.Response(status=404), "status 404: it is gone"),
        (web.Response(status=410), "status 410: it is gone"),
        (article("Start", head='<meta name="robots" content="noindex">'), "it asks not to be kept (noindex)"),
        ("<title>404 Not Found</title><p>Sorry, nothing here.", "it says that there is no such page"),
    ],
)
async def test_a_page_that_is_gone_leaves_the_knowledge(
    site: Site, crawler: Crawler, objects: Objects, store_id: str, page: web.Response | str, reason: str
) -> None:
    site.pages["/"] = article("Start")
    await crawler.crawl(f"{site.url}/", vector_store_id=store_id)
    file = await crawler.file(f"{site.url}/")
    site.pages["/"] = page
    scrape = await crawler.crawl(f"{site.url}/", vector_store_id=store_id)
    gone = (await crawler.pages(scrape))["/"]
    assert (gone.status, gone.change, gone.error_message) == ("skipped", "gone", reason)
    assert [item.key async for item in objects.keys(crawler.tenant_id)] == []
    async with crawler.database.tenant(crawler.tenant_id) as connection:
        with pytest.raises(NotFoundError):
            await get_store_file(connection, store_id, file.file_id)
    # And comes back with its page.
    site.pages["/"] = article("Start")
    back = await crawler.crawl(f"{site.url}/", vector_store_id=store_id)
    assert (await crawler.pages(back))["/"].change == "new"


async def test_a_server_in_trouble_takes_nothing_away(site: Site, crawler: Crawler) -> None:
    site.pages["/"] = article("Start")
    await crawler.crawl(f"{site.url}/")
    site.pages["/"] = web.Response(status=403)
    scrape = await crawler.crawl(f"{site.url}/")
    assert (await crawler.pages(scrape))["/"].error_message == "status 403"
    assert (await crawler.file(f"{site.url}/")).file_id


async def test_a_page_that_another_leads_to_stays(site: Site, crawler: Crawler) -> None:
    site.pages |= {"/old": web.Response(status=301, headers={"Location": "/new"}), "/new": article("New")}
    await crawler.crawl(f"{site.url}/old")
    await crawler.crawl(f"{site.url}/new")
    site.pages["/old"] = web.Response(status=404)
    await crawler.crawl(f"{site.url}/old")
    assert (await crawler.file(f"{site.url}/new")).file_id


# Schedules ------------------------------------------------------------------------------------------------


async def due(crawler: Crawler, now: datetime) -> list[str]:
    """Start what is due; the URLs that are sent."""
    async with crawler.database.tenant(crawler.tenant_id) as connection:
        messages = await start_due(connection, now, limit=10)
    await Queue(crawler.queue_url).send(messages)
    return [message.url for message in messages]


async def newest(crawler: Crawler) -> Scrape:
    async with crawler.database.tenant(crawler.tenant_id) as connection:
        cursor = await connection.execute("SELECT max(scrape_id) AS scrape_id FROM scrapes")
        row = await cursor.fetchone()
        assert row is not None
        return await get_scrape(connection, row["scrape_id"])


async def test_a_schedule_runs_in_its_time_and_looks_for_what_is_gone(
    site: Site, crawler: Crawler, store_id: str
) -> None:
    site.pages |= {"/": article("Start", "/a", "/b"), "/a": article("A"), "/b": article("B")}
    made = datetime(2026, 5, 6, 12, 0, tzinfo=UTC)
    template = NewScrape(
        tenant_id=crawler.tenant_id,
        start_urls=(f"{site.url}/",),
        depth_limit=1,
        page_limit=10,
        vector_store_id=store_id,
    )
    async with crawler.database.tenant(crawler.tenant_id) as connection:
        schedule = await create_schedule(connection, template, cron="0 3 * * *", timezone="UTC", now=made)
    assert schedule.next_run_at == datetime(2026, 5, 7, 3, 0, tzinfo=UTC)
    assert await due(crawler, made) == []
    assert await due(crawler, made + timedelta(days=1)) == [f"{site.url}/"]
    first = await newest(crawler)
    assert first.schedule_id == schedule.schedule_id
    # One that still goes on is not overtaken; what was missed meanwhile is not made up for.
    assert await due(crawler, made + timedelta(days=4)) == []
    assert (await crawler.run(first)).page_counts == PageCounts(completed=3)
    site.pages["/"] = article("Start", "/a", "/c")
    site.pages |= {"/b": web.Response(status=404), "/c": article("C")}
    await due(crawler, made + timedelta(days=5))
    second = await crawler.run(await newest(crawler))
    changes = {path: page.change for path, page in (await crawler.pages(second)).items()}
    assert changes.pop("/") in ("changed", "unchanged")
    assert changes == {"/a": "unchanged", "/b": "gone", "/c": "new"}
    async with crawler.database.tenant(crawler.tenant_id) as connection:
        assert (await list_schedules(connection, PageRequest())).items[0].next_run_at > made
        await delete_schedule(connection, schedule.schedule_id)
        with pytest.raises(NotFoundError):
            await delete_schedule(connection, schedule.schedule_id)
    assert await due(crawler, made + timedelta(days=9)) == []
