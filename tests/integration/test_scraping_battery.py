"""Sites as they should not be: each page ends as the documentation says, and the crawl with it."""

import asyncio
import gzip
import re

import pytest
from aiohttp import web

from shared.aws.objects import Objects
from shared.web.record_schema import RecordSchema
from shared.web.scrape_models import CrawlRules, PageCounts
from tests.integration.scraping_crawler import EVENT, Crawler
from tests.integration.scraping_site import Page, Site, article
from tests.loading import Context

pytest_plugins = ["tests.integration.scraping_fixtures"]

MEGABYTE = b"x" * 1024 * 1024


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """One try of a second; takes effect because the handler is imported later."""
    monkeypatch.setenv("WEIR_CRAWLER_PAGE_SECONDS", "1")
    monkeypatch.setenv("WEIR_CRAWLER_PAGE_ATTEMPTS", "1")


def redirect(location: str) -> web.Response:
    return web.Response(status=302, headers={"Location": location})


def html(body: bytes | str, **headers: str) -> web.Response:
    encoded = body.encode() if isinstance(body, str) else body
    return web.Response(body=encoded, headers={"Content-Type": "text/html"} | headers)


async def large(request: web.Request) -> web.StreamResponse:
    """50 MB that do not say so."""
    response = web.StreamResponse(headers={"Content-Type": "text/html"})
    await response.prepare(request)
    for _ in range(50):
        await response.write(MEGABYTE)
    return response


async def cookie_wall(request: web.Request) -> web.StreamResponse:
    if "consent" in request.headers.get("Cookie", ""):
        return html(article("Behind the wall"))
    return web.Response(status=302, headers={"Location": "/wall", "Set-Cookie": "consent=1"})


async def trap(request: web.Request) -> web.StreamResponse:
    return html(article(f"Trap at {request.path}", "next/x/"))


CIRCLE = "it redirects in a circle; it may want cookies, which are not kept"
TOO_LARGE = "the body has more than the 20,971,520 bytes that are read"
BOMB = gzip.compress(b"\0" * 100 * 1024 * 1024, 1)

BAD: dict[str, tuple[Page, str, str]] = {
    "/loop": (redirect("/loop"), "failed", CIRCLE),
    "/long": (redirect("/long/1"), "failed", "more than 5 redirects"),
    "/wall": (cookie_wall, "failed", CIRCLE),
    "/away": (redirect("http://127.0.0.1:1/"), "skipped", "it redirects to another site"),
    "/soft": (
        html("<title>Page not found</title><h1>404</h1>"),
        "skipped",
        "it says that there is no such page",
    ),
    "/huge": (large, "skipped", TOO_LARGE),
    "/bomb": (html(BOMB, **{"Content-Encoding": "gzip"}), "skipped", TOO_LARGE),
    "/nogzip": (html("?", **{"Content-Encoding": "gzip"}), "failed", "the body is damaged or cut short"),
    "/brotli": (html("?", **{"Content-Encoding": "br"}), "failed", "sent as 'br', which was not asked for"),
    "/image": (web.Response(body=b"GIF89a", content_type="image/gif"), "skipped", "image/gif is not read"),
    "/blank": (html(""), "skipped", "it has no text"),
    "/app": (
        html('<div id="root"></div><script src="/a.js"></script>'),
        "skipped",
        "its text needs JavaScript, and there is no browser to render it",
    ),
    "/teapot": (web.Response(status=418), "failed", "status 418"),
}

GBK = "<meta charset=utf-8>" + article("河流").replace(
    "This page tells of", "这是一个关于河流的页面，内容足够长，可以被保存和查找。"
)


async def test_each_page_ends_as_documented(site: Site, crawler: Crawler, objects: Objects) -> None:
    site.pages |= {path: page for path, (page, _, _) in BAD.items()}
    site.pages |= {f"/long/{number}": redirect(f"/long/{number + 1}") for number in range(9)}
    site.pages |= {
        "/": article("Start", *BAD, "/broken", "/lies", "/deep"),
        "/broken": article("Broken").replace("</p>", "<b>").replace("</article>", "<li><a href='x"),
        "/lies": html(GBK.encode("gbk"), **{"Content-Type": "text/html; charset=iso-8859-1"}),
        "/deep": html("<div>" * 5_000 + "<p>A text at the bottom of it all, which is long enough.</p>"),
    }
    scrape = await crawler.crawl(f"{site.url}/", depth_limit=1, page_limit=50)
    pages = await crawler.pages(scrape)
    ends = {path: (pages[path].status, pages[path].error_message) for path in BAD}
    assert ends == {path: (status, reason) for path, (_, status, reason) in BAD.items()}
    for path in ("/", "/broken", "/lies"):
        assert (path, pages[path].status) == (path, "completed")
    assert pages["/deep"].status in ("completed", "skipped")
    lies = await objects.get((await crawler.file(f"{site.url}/lies")).object_key)
    assert "这是一个关于河流的页面" in lies.decode()


@pytest.mark.parametrize(
    ("row", "count"), [("<tr><td>河流</td></tr>", 20_000), (f"<tr><td>{'河流' * 300}</td></tr>", 2_000)]
)
async def test_a_very_large_page_is_kept_as_it_is(
    site: Site, crawler: Crawler, objects: Objects, row: str, count: int
) -> None:
    page = f"<meta charset=gbk><title>All rivers</title><table>{row * count}</table><a href='/a'>more</a>"
    site.pages |= {"/": html(page.encode("gbk")), "/a": article("A")}
    records = RecordSchema.model_validate({"fields": {"name": {"css": "td"}}})
    scrape = await crawler.crawl(f"{site.url}/", depth_limit=1, rules=CrawlRules(records=records))
    pages = await crawler.pages(scrape)
    assert (pages["/"].status, pages["/"].title, pages["/a"].status) == (
        "completed",
        "All rivers",
        "completed",
    )
    assert pages["/"].error_message == "it is larger than records are taken from"
    file = await crawler.file(f"{site.url}/")
    assert (file.filename, file.media_type) == ("All rivers.html", "text/html")
    assert (await objects.get(file.object_key)).decode("utf-8-sig") == page


async def test_a_calendar_without_end_ends_with_its_budget(site: Site, crawler: Crawler) -> None:
    async def day(request: web.Request) -> web.StreamResponse:
        number = int(request.query["d"])
        return html(article(f"Day {number}", f"/?d={number + 1}", f"/?d={number - 1}"))

    site.pages |= {f"/?d={number}": day for number in range(-50, 50)}
    scrape = await crawler.crawl(f"{site.url}/?d=0", depth_limit=5, page_limit=8)
    assert (scrape.status, scrape.page_counts) == ("completed", PageCounts(completed=8))


async def test_a_path_that_repeats_itself_is_left(site: Site, crawler: Crawler) -> None:
    site.pages |= {f"/{'next/x/' * count}": trap for count in range(20)}
    scrape = await crawler.crawl(f"{site.url}/", depth_limit=20, page_limit=20)
    assert scrape.page_counts == PageCounts(completed=4)
    assert not any(re.search("(next/x/){4}", visit.path) for visit in site.visits)


async def test_a_server_that_drips_is_left_after_its_time(site: Site, crawler: Crawler) -> None:
    ended = asyncio.Event()

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/html"})
        await response.prepare(request)
        try:
            while True:
                await response.write(b"<p>")
                await asyncio.sleep(0.05)
        finally:
            ended.set()

    site.pages["/"] = drip
    scrape = await crawler.crawl(f"{site.url}/")
    assert (scrape.status, scrape.error_message) == ("failed", "no complete answer within 1 s")
    # And the connection is closed, not only forgotten, when the function runs again.
    await asyncio.to_thread(crawler.handle, EVENT, Context())
    async with asyncio.timeout(10):
        await ended.wait()


async def test_a_robots_txt_that_does_not_come_forbids_everything_for_now(
    site: Site, crawler: Crawler
) -> None:
    ended = asyncio.Event()

    async def silent(request: web.Request) -> web.StreamResponse:
        await ended.wait()
        return web.Response()

    site.pages |= {"/robots.txt": silent, "/": article("Start")}
    scrape = await crawler.crawl(f"{site.url}/")
    ended.set()
    assert scrape.status == "failed"
    assert scrape.error_message == ("robots.txt of the host cannot be read: no complete answer within 1 s")
    assert site.visited("/") == 0
