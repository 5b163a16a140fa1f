"""Crawls of sites on the loopback: SQS messages through the handler into files, objects, vector stores."""

import asyncio
import itertools
from datetime import timedelta
from types import ModuleType

import pytest
from aiohttp import web

from shared.aws.clients import call, client
from shared.aws.objects import Objects
from shared.files.records import get_file
from shared.knowledge.store_files import get_store_file
from shared.knowledge.stores import delete_store
from shared.web.claiming import claim_pages
from shared.web.scrape_models import PageCounts
from shared.web.scrapes import cancel_scrape
from tests.integration.scraping_crawler import EVENT, Crawler, Handle
from tests.integration.scraping_site import Site, article, forget_hosts, running_listener
from tests.loading import Context

pytest_plugins = ["tests.integration.scraping_fixtures"]


def cancel_work(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel the batch, and leave the tasks of the connection pool, which the end of the test closes."""
    for task in asyncio.all_tasks(loop):
        if "async_process" in getattr(task.get_coro(), "__qualname__", ""):
            task.cancel()


def redirect(location: str) -> web.Response:
    return web.Response(status=302, headers={"Location": location})


async def test_the_example_event_asks_for_nothing_that_is_there(handle: Handle) -> None:
    assert await asyncio.to_thread(handle, EVENT, Context()) == {"batchItemFailures": []}


async def test_a_page_becomes_a_file_that_ingestion_finds(
    site: Site, crawler: Crawler, objects: Objects, store_id: str
) -> None:
    site.pages["/rivers"] = article(
        "Rivers", head='<meta property="article:published_time" content="2024-05-06">'
    )
    scrape = await crawler.crawl(f"{site.url}/rivers", vector_store_id=store_id)
    assert (scrape.status, scrape.page_counts) == ("completed", PageCounts(completed=1))
    page = (await crawler.pages(scrape))["/rivers"]
    file = await crawler.file(f"{site.url}/rivers")
    assert (page.title, page.file_id) == ("Rivers", file.file_id)
    assert (file.filename, file.media_type, file.purpose) == ("Rivers.md", "text/markdown", "assistants")
    markdown = (await objects.get(file.object_key)).decode()
    assert markdown.startswith("# Rivers\n\nThis page tells of Rivers")
    async with crawler.database.tenant(crawler.tenant_id) as connection:
        attached = await get_store_file(connection, store_id, file.file_id)
    assert attached.status == "in_progress"
    assert attached.attributes == {
        "source_url": f"{site.url}/rivers",
        "title": "Rivers",
        "language": "en",
        "published": "2024-05-06",
    }


async def test_a_site_is_crawled_as_it_allows(site: Site, crawler: Crawler, objects: Objects) -> None:
    pdf = b"%PDF-1.7 as it is"
    site.pages |= {
        "/robots.txt": web.Response(text="User-agent: WeirBot\nDisallow: /private\n"),
        "/": article(
            "Start", "/a", "b#part", "/a?", "/private/x", "/report.pdf", "/photo.jpg", "https://elsewhere.test/",
            "/moved", "/away", "/missing", "/quiet", "/closed", "/empty", "mailto:a@b.test",
        ),
        "/a": article("A", "/", "/b", "/deep"),
        "/b": article("B"),
        "/deep": article("Deep", "/deeper"),
        "/deeper": article("Deeper"),
        "/moved": redirect("/b"),
        "/away": redirect("https://elsewhere.test/"),
        "/quiet": article("Quiet", "/linked", head='<meta name="robots" content="noindex">'),
        "/linked": article("Linked"),
        "/closed": web.Response(
            text=article("Closed", "/hidden"), content_type="text/html", headers={"X-Robots-Tag": "nofollow"}
        ),
        "/hidden": article("Hidden"),
        "/empty": "<html><body></body></html>",
        "/report.pdf": web.Response(body=pdf, content_type="application/pdf"),
    }  # fmt: skip
    scrape = await crawler.crawl(f"{site.url}/", depth_limit=2)
    assert scrape.status == "completed"
    pages = await crawler.pages(scrape)
    assert {path: page.status for path, page in pages.items()} == {
        "/": "completed",
        "/a": "completed",
        "/b": "completed",
        "/private/x": "skipped",
        "/report.pdf": "completed",
        "/moved": "completed",
        "/away": "skipped",
        "/missing": "failed",
        "/quiet": "skipped",
        "/closed": "completed",
        "/empty": "skipped",
        "/deep": "completed",
        "/linked": "completed",
    }
    reasons = {path: page.error_message for path, page in pages.items() if page.error_message}
    assert reasons == {
        "/private/x": "robots.txt disallows it",
        "/away": "it redirects to another site",
        "/missing": "status 404",
        "/quiet": "it asks not to be kept (noindex)",
        "/empty": "it has no text",
    }
    assert (pages["/deep"].depth, pages["/deep"].found_on) == (2, f"{site.url}/a")
    assert site.visited("/private/x") == site.visited("/photo.jpg") == site.visited("/deeper") == 0
    assert site.visited("/robots.txt") == 1
    assert {site.visited(path) for path in pages if path not in ("/private/x", "/b")} == {1}
    # Once itself, once as the end of a redirect: one file for both.
    assert site.visited("/b") == 2
    assert pages["/moved"].file_id == pages["/b"].file_id
    file = await crawler.file(f"{site.url}/report.pdf")
    assert (file.filename, file.media_type) == ("report.pdf", "application/pdf")
    assert await objects.get(file.object_key) == pdf


async def test_a_crawl_ends_at_its_page_limit(site: Site, crawler: Crawler) -> None:
    async def calendar(request: web.Request) -> web.StreamResponse:
        day = int(request.query["day"])
        html = article(f"Day {day}", f"/?day={day + 1}", f"/?day={day + 2}")
        return web.Response(text=html, content_type="text/html")

    site.pages |= {f"/?day={day}": calendar for day in range(100)}
    scrape = await crawler.crawl(f"{site.url}/?day=0", depth_limit=1_000, page_limit=7)
    assert (scrape.status, scrape.page_counts) == ("completed", PageCounts(completed=7))
    assert sum(visit.path != "/robots.txt" for visit in site.visits) == 7


async def test_what_is_delivered_twice_is_done_once(site: Site, crawler: Crawler) -> None:
    site.pages["/"] = article("Start", *(f"/{number}" for number in range(12)))
    site.pages |= {f"/{number}": article(f"Number {number}", "/", "/1") for number in range(12)}
    scrape = await crawler.run(await crawler.start(f"{site.url}/"), twice=True)
    assert (scrape.status, scrape.page_counts) == ("completed", PageCounts(completed=13))
    assert {path: site.visited(path) for path in site.pages} == dict.fromkeys(site.pages, 1)


async def test_a_page_scraped_again_replaces_its_file(
    site: Site, crawler: Crawler, objects: Objects, store_id: str
) -> None:
    site.pages["/"] = article("Old")
    await crawler.crawl(f"{site.url}/", vector_store_id=store_id)
    before = await crawler.file(f"{site.url}/")
    site.pages["/"] = article("New")
    scrape = await crawler.crawl(f"{site.url}/", vector_store_id=store_id)
    after = await crawler.file(f"{site.url}/")
    assert (after.file_id, after.object_key) == (before.file_id, before.object_key)
    assert (await crawler.pages(scrape))["/"].file_id == after.file_id
    assert (await objects.get(after.object_key)).startswith(b"# New\n")
    assert [item.key async for item in objects.keys(crawler.tenant_id)] == [after.object_key]


async def test_a_crawl_goes_on_where_its_start_page_redirects_to(
    site: Site, other_site: Site, crawler: Crawler
) -> None:
    site.pages["/"] = redirect(f"{other_site.url}/home")
    other_site.pages |= {"/home": article("Home", "/a", f"{site.url}/b"), "/a": article("A")}
    scrape = await crawler.crawl(f"{site.url}/")
    assert set(await crawler.pages(scrape)) == {"/", f"{other_site.url}/a"}
    assert scrape.page_counts == PageCounts(completed=2)
    assert (await crawler.file(f"{other_site.url}/home")).filename == "Home.md"


async def test_robots_txt_counts_at_the_end_of_a_redirect_too(
    site: Site, other_site: Site, crawler: Crawler
) -> None:
    site.pages["/"] = redirect(f"{other_site.url}/home")
    other_site.pages["/robots.txt"] = web.Response(text="User-agent: *\nDisallow: /home\n")
    scrape = await crawler.crawl(f"{site.url}/")
    assert (scrape.status, scrape.error_message) == ("failed", "robots.txt disallows it")
    assert other_site.visited("/home") == 0


async def test_a_private_address_is_refused(crawler: Crawler) -> None:
    async with running_listener() as listener:
        scrape = await crawler.crawl(f"http://localhost:{listener.port}/")
    assert (scrape.status, scrape.error_message) == (
        "failed",
        "the host is at an address that may not be reached",
    )
    assert listener.connections == 0


async def test_the_crawl_delay_of_a_host_is_kept(site: Site, crawler: Crawler) -> None:
    site.pages |= {
        "/robots.txt": web.Response(text="User-agent: *\nCrawl-delay: 0.5\n"),
        "/": article("Start", "/a", "/b", "/c"),
        "/a": article("A"),
        "/b": article("B"),
        "/c": article("C"),
    }
    scrape = await crawler.crawl(f"{site.url}/")
    assert scrape.page_counts == PageCounts(completed=4)
    times = [visit.at for visit in site.visits if visit.path != "/robots.txt"]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert min(gaps) > 0.45


async def test_who_must_wait_long_goes_back_to_the_queue(site: Site, crawler: Crawler) -> None:
    site.pages |= {
        "/robots.txt": web.Response(text="User-agent: *\nCrawl-delay: 60\n"),
        "/": article("Start", "/a", "/b"),
    }
    scrape = await crawler.start(f"{site.url}/")
    await crawler.step()
    began = asyncio.get_running_loop().time()
    while (await crawler.delayed()) < 2:
        await crawler.step()
    assert asyncio.get_running_loop().time() - began < 10
    assert (await crawler.state(scrape)).page_counts == PageCounts(completed=1, queued=2)
    assert [page.attempts for page in (await crawler.pages(scrape)).values() if page.depth] == [0, 0]
    assert site.visited("/a") == site.visited("/b") == 0


async def test_a_passing_failure_is_tried_again_later(site: Site, crawler: Crawler, valkey_url: str) -> None:
    site.pages["/"] = web.Response(status=503, headers={"Retry-After": "120"})
    scrape = await crawler.start(f"{site.url}/")
    await crawler.step()
    page = (await crawler.pages(scrape))["/"]
    assert (page.status, page.attempts) == ("queued", 1)
    assert await crawler.delayed() == 1
    # The delayed message, before its time: while the host rests, it is left alone.
    body = crawler.message(scrape, f"{site.url}/").model_dump_json()
    await crawler.deliver(body)
    assert (site.visited("/"), await crawler.delayed()) == (1, 2)
    for _ in range(2):
        await forget_hosts(valkey_url, site)
        await crawler.deliver(body)
    ended = await crawler.state(scrape)
    assert (ended.status, ended.error_message) == ("failed", "status 503")
    assert site.visited("/") == 3


async def test_a_worker_that_died_is_replaced(site: Site, crawler: Crawler) -> None:
    site.pages |= {"/": article("Start", "/a"), "/a": article("A")}
    scrape = await crawler.start(f"{site.url}/")
    async with crawler.database.tenant(crawler.tenant_id) as connection:
        await claim_pages(connection, [crawler.message(scrape, f"{site.url}/")], timedelta(0))
    ended = await crawler.run(scrape)
    assert ended.page_counts == PageCounts(completed=2)
    assert (await crawler.pages(scrape))["/"].attempts == 2


async def test_a_worker_that_is_stopped_gives_its_pages_back(
    site: Site, crawler: Crawler, handler: ModuleType
) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        asked.set()
        await answer.wait()
        return web.Response(text=article("Start"), content_type="text/html")

    site.pages["/"] = slow
    scrape = await crawler.start(f"{site.url}/")
    body = crawler.message(scrape, f"{site.url}/").model_dump_json()
    delivery = asyncio.create_task(crawler.deliver(body))
    await asked.wait()
    handler._loop.call_soon_threadsafe(cancel_work, handler._loop)
    with pytest.raises(asyncio.CancelledError):
        await delivery
    page = (await crawler.pages(scrape))["/"]
    assert (page.status, page.attempts) == ("queued", 0)
    answer.set()
    assert await crawler.deliver(body) == set()
    assert (await crawler.state(scrape)).status == "completed"


async def test_a_page_that_keeps_killing_its_workers_is_given_up(site: Site, crawler: Crawler) -> None:
    scrape = await crawler.start(f"{site.url}/")
    for _ in range(3):
        async with crawler.database.tenant(crawler.tenant_id) as connection:
            await claim_pages(connection, [crawler.message(scrape, f"{site.url}/")], timedelta(0))
    ended = await crawler.run(scrape)
    assert (ended.status, ended.error_message) == ("failed", "work on this page broke off 3 times")
    assert site.visits == []


async def test_a_crawl_stops_when_it_is_cancelled(site: Site, crawler: Crawler) -> None:
    site.pages |= {"/": article("Start", "/a", "/b"), "/a": article("A"), "/b": article("B")}
    scrape = await crawler.start(f"{site.url}/")
    await crawler.step()
    async with crawler.database.tenant(crawler.tenant_id) as connection:
        await cancel_scrape(connection, scrape.scrape_id)
    await crawler.step()
    ended = await crawler.state(scrape)
    assert (ended.status, ended.page_counts) == ("cancelled", PageCounts(completed=1, skipped=2))
    assert site.visited("/a") == site.visited("/b") == 0


async def test_a_crawl_into_a_store_that_is_gone_ends(site: Site, crawler: Crawler, store_id: str) -> None:
    site.pages |= {"/": article("Start", "/a"), "/a": article("A", "/b"), "/b": article("B")}
    scrape = await crawler.start(f"{site.url}/", vector_store_id=store_id)
    await crawler.step()
    async with crawler.database.tenant(crawler.tenant_id) as connection:
        await delete_store(connection, store_id)
    ended = await crawler.run(scrape)
    assert ended.status == "failed"
    assert ended.error_message == f"No such vector store: {store_id!r}."
    assert site.visited("/b") == 0


async def test_a_message_that_is_none_goes_back_alone(site: Site, crawler: Crawler) -> None:
    site.pages["/"] = article("Start")
    scrape = await crawler.start(f"{site.url}/")
    good = crawler.message(scrape, f"{site.url}/").model_dump_json()
    unknown = crawler.message(scrape, f"{site.url}/unknown").model_dump_json()
    assert await crawler.deliver("{}", good, "no json", unknown) == {0, 2}
    assert (await crawler.state(scrape)).status == "completed"


async def test_a_fault_of_the_platform_puts_the_page_back(
    site: Site, crawler: Crawler, objects: Objects
) -> None:
    site.pages["/"] = article("Start")
    scrape = await crawler.start(f"{site.url}/")
    body = crawler.message(scrape, f"{site.url}/").model_dump_json()
    await call(client("s3").delete_bucket, Bucket=objects.bucket)
    assert await crawler.deliver(body) == {0}
    page = (await crawler.pages(scrape))["/"]
    assert (page.status, page.attempts) == ("queued", 1)
    await call(client("s3").create_bucket, Bucket=objects.bucket)
    assert await crawler.deliver(body) == set()
    assert (await crawler.state(scrape)).status == "completed"
    async with crawler.database.tenant(crawler.tenant_id) as connection:
        assert await get_file(connection, (await crawler.pages(scrape))["/"].file_id or "")
