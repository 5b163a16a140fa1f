"""What a scrape may be told: where to begin, what to follow, how much to read, what to take, whom to tell."""

import gzip
import json

import openai
import pytest
from aiohttp import web

from shared.postgres.pages import PageRequest
from shared.web.record_schema import RecordSchema
from shared.web.scrape_models import CrawlRules, PageCounts
from shared.web.scrapes import cancel_scrape, list_records
from shared.web.webhook import new_secret
from tests.integration.scraping_crawler import Crawler
from tests.integration.scraping_site import Site, article, running_listener

pytest_plugins = ["tests.integration.scraping_fixtures"]

SHELL = '<div id="app"></div><script src="/main.js"></script>'


def xml(body: str) -> web.Response:
    return web.Response(text=body, content_type="application/xml")


async def test_a_list_is_read_and_nothing_else(site: Site, other_site: Site, crawler: Crawler) -> None:
    site.pages |= {"/a": article("A", "/b"), "/b": article("B", "/c")}
    other_site.pages["/"] = article("Other", "/x")
    urls = (f"{site.url}/a", f"{other_site.url}/")
    scrape = await crawler.crawl("", start_urls=urls, depth_limit=0)
    assert scrape.page_counts == PageCounts(completed=2)
    assert set(await crawler.pages(scrape)) == {"/a", f"{other_site.url}/"}


async def test_each_of_a_list_stays_in_its_own_site(site: Site, other_site: Site, crawler: Crawler) -> None:
    site.pages |= {"/": article("Start", "/a", f"{other_site.url}/y"), "/a": article("A")}
    other_site.pages |= {"/": article("Other", "/x"), "/x": article("X")}
    scrape = await crawler.crawl("", start_urls=(f"{site.url}/", f"{other_site.url}/"), depth_limit=1)
    assert set(await crawler.pages(scrape)) == {"/", "/a", f"{other_site.url}/", f"{other_site.url}/x"}


async def test_tables_that_a_page_links_to_are_kept_as_files(site: Site, crawler: Crawler) -> None:
    excel = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    site.pages |= {
        "/": article("Data", "/prices.csv", "/export?id=1", "/prices.xlsx"),
        # What many servers call it.
        "/prices.csv": web.Response(body=b"a,b\n1,2\n", content_type="application/vnd.ms-excel"),
        "/export?id=1": web.Response(body=b"a,b\n1,2\n", content_type="application/csv"),
        "/prices.xlsx": web.Response(body=b"PK", content_type=excel),
    }
    await crawler.crawl(f"{site.url}/", depth_limit=1)
    kept = {path: await crawler.file(site.url + path) for path in site.pages if path != "/"}
    assert {path: (file.filename, file.media_type) for path, file in kept.items()} == {
        "/prices.csv": ("prices.csv", "text/csv"),
        "/export?id=1": ("export.csv", "application/csv"),
        "/prices.xlsx": ("prices.xlsx", excel),
    }


async def test_a_sitemap_leads_to_its_pages(site: Site, other_site: Site, crawler: Crawler) -> None:
    url = site.url
    pages = "".join(
        f"<url><loc>{loc}</loc></url>" for loc in (f"{url}/a", f"{other_site.url}/x", f"{url}/no/b")
    )
    index = "".join(f"<sitemap><loc>{url}/{name}</loc></sitemap>" for name in ("pages.xml.gz", "broken.xml"))
    site.pages |= {
        "/sitemap.xml": xml(f"<sitemapindex>{index}</sitemapindex>"),
        "/pages.xml.gz": web.Response(
            body=gzip.compress(f"<urlset>{pages}</urlset>".encode()), content_type="application/gzip"
        ),
        "/a": article("A", "/b"),
        "/b": article("B"),
    }
    rules = CrawlRules(exclude=("/no/*",))
    scrape = await crawler.crawl(
        "", start_urls=(), sitemaps=(f"{url}/sitemap.xml",), depth_limit=0, rules=rules
    )
    assert (scrape.status, scrape.page_counts) == ("completed", PageCounts(completed=1))
    found = await crawler.pages(scrape)
    assert {path: page.status for path, page in found.items()} == {
        "/sitemap.xml": "completed",
        "/pages.xml.gz": "completed",
        "/broken.xml": "failed",
        "/a": "completed",
    }


async def test_a_sitemap_without_pages_fails_the_scrape(site: Site, crawler: Crawler) -> None:
    site.pages["/sitemap.xml"] = xml("<urlset></urlset>")
    scrape = await crawler.crawl("", start_urls=(), sitemaps=(f"{site.url}/sitemap.xml",))
    assert (scrape.status, scrape.error_message) == ("failed", "No page was found.")


async def test_links_are_followed_by_the_rules(site: Site, crawler: Crawler) -> None:
    site.pages |= {
        "/": article("Start", "/docs/a", "/docs/old/b", "/blog/c", "/docs/a/a/a/a/a"),
        "/docs/a": article("A"),
    }
    rules = CrawlRules(include=("/docs/*",), exclude=("*/old/*",))
    scrape = await crawler.crawl(f"{site.url}/", rules=rules)
    assert set(await crawler.pages(scrape)) == {"/", "/docs/a"}


async def test_a_scrape_stops_at_its_bytes(site: Site, crawler: Crawler) -> None:
    site.pages |= {"/": article("Start", "/a", "/b"), "/a": article("A"), "/b": article("B")}
    scrape = await crawler.crawl(f"{site.url}/", byte_limit=200)
    assert (scrape.status, scrape.page_counts) == ("completed", PageCounts(completed=1, skipped=2))
    assert scrape.bytes_read > 200
    assert site.visited("/a") == 0


async def test_selectors_make_records(site: Site, crawler: Crawler) -> None:
    site.pages |= {"/": article("Start", "/a"), "/a": article("A")}
    schema = RecordSchema.model_validate(
        {"fields": {"title": {"css": "h1"}, "links": {"xpath": "//a/@href", "all": True}}}
    )
    scrape = await crawler.crawl(f"{site.url}/", rules=CrawlRules(records=schema))
    async with crawler.database.tenant(crawler.tenant_id) as connection:
        page = await list_records(connection, scrape.scrape_id, PageRequest(order="asc"))
    assert [(item.url, item.records) for item in page.items] == [
        (f"{site.url}/", [{"title": "Start", "links": [f"{site.url}/a"]}]),
        (f"{site.url}/a", [{"title": "A", "links": []}]),
    ]


async def test_a_selector_that_is_none_fails_the_scrape(site: Site, crawler: Crawler) -> None:
    site.pages["/"] = article("Start")
    schema = RecordSchema.model_validate({"fields": {"title": {"css": "h1 >"}}})
    scrape = await crawler.crawl(f"{site.url}/", rules=CrawlRules(records=schema))
    assert scrape.status == "failed"
    assert (scrape.error_message or "").startswith("The selector 'h1 >' cannot be read")


async def test_without_a_browser_a_page_is_marked(site: Site, crawler: Crawler) -> None:
    site.pages |= {"/": article("Start", "/app", "/plain"), "/app": SHELL, "/plain": "<p>"}
    scrape = await crawler.crawl(f"{site.url}/")
    pages = await crawler.pages(scrape)
    assert scrape.page_counts == PageCounts(completed=1, skipped=2)
    assert (pages["/app"].rendering, pages["/plain"].rendering) == ("needed", "none")
    assert (pages["/app"].error_message or "").startswith("its text needs JavaScript")
    never = await crawler.crawl(f"{site.url}/app", rules=CrawlRules(render="never"))
    assert (await crawler.pages(never))["/app"].rendering == "none"


# Webhooks -------------------------------------------------------------------------------------------------


class Hook:
    """A receiver that answers from a script, and keeps what it got."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.got: list[tuple[bytes, dict[str, str]]] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.got.append((await request.read(), dict(request.headers)))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)


@pytest.fixture
async def hook(site: Site) -> Hook:
    site.pages["/hook"] = made = Hook()
    return made


async def crawl_and_tell(
    crawler: Crawler, site: Site, path: str = "/hook", secret: str = new_secret()
) -> str:
    """Crawl one page and deliver the report; the state of the webhook."""
    site.pages.setdefault("/", article("Start"))
    rules = CrawlRules(webhook_url=path if "://" in path else site.url + path)
    scrape = await crawler.crawl(f"{site.url}/", rules=rules, webhook_secret=secret)
    await crawler.step()
    return str((await crawler.state(scrape)).webhook_status)


async def test_a_webhook_is_told_of_the_end(site: Site, crawler: Crawler, hook: Hook) -> None:
    secret = new_secret()
    assert await crawl_and_tell(crawler, site, secret=secret) == "delivered"
    ((body, headers),) = hook.got
    openai.OpenAI(api_key="none").webhooks.verify_signature(body, headers, secret=secret)
    event = json.loads(body)
    assert (event["object"], event["type"]) == ("event", "scrape.completed")
    assert event["data"]["page_counts"] == {"completed": 1, "skipped": 0, "failed": 0, "total": 1}
    assert headers["webhook-id"] == event["id"]


async def test_a_webhook_is_told_that_a_scrape_was_cancelled(
    site: Site, crawler: Crawler, hook: Hook
) -> None:
    rules = CrawlRules(webhook_url=f"{site.url}/hook")
    scrape = await crawler.start(f"{site.url}/", rules=rules, webhook_secret=new_secret())
    async with crawler.database.tenant(crawler.tenant_id) as connection:
        await cancel_scrape(connection, scrape.scrape_id)
    # The message of its page finds that there is something to tell.
    await crawler.step()
    await crawler.step()
    assert json.loads(hook.got[0][0])["type"] == "scrape.cancelled"


async def test_a_webhook_that_fails_is_told_again_later(site: Site, crawler: Crawler, hook: Hook) -> None:
    hook.statuses = [500]
    assert await crawl_and_tell(crawler, site) == "due"
    assert (len(hook.got), await crawler.delayed()) == (1, 1)


async def test_a_webhook_that_is_gone_is_left_alone(site: Site, crawler: Crawler, hook: Hook) -> None:
    hook.statuses = [410]
    assert await crawl_and_tell(crawler, site) == "failed"


async def test_a_webhook_at_a_private_address_is_not_called(site: Site, crawler: Crawler) -> None:
    async with running_listener() as listener:
        site.pages["/away"] = web.Response(
            status=307, headers={"Location": f"http://127.0.0.1:{listener.port}/"}
        )
        assert await crawl_and_tell(crawler, site, f"http://127.0.0.1:{listener.port}/") == "due"
        assert await crawl_and_tell(crawler, site, "/away") == "due"
        assert listener.connections == 0
