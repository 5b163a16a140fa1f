"""Pages that need a browser: noticed by scraping, rendered by Chromium, and read like any other."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import pytest
from aiohttp import web

from local.components.storage import QueueUrls
from local.functions import CHROMIUM
from local.process import ROOT
from rendering.browser import Renderer
from shared.aws.clients import call, client
from shared.aws.objects import Objects
from shared.web.answer import FetchError, FetchRefusedError
from shared.web.scrape_models import CrawlRules, PageCounts
from tests.integration.scraping_crawler import Crawler, Handle
from tests.integration.scraping_site import Site, running_listener
from tests.loading import Context, fresh_handler

pytest_plugins = ["tests.integration.scraping_fixtures"]

pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(), reason=f"rendering needs Chromium at {CHROMIUM} (Debian: apt install chromium)"
)

SHELL = '<title>App</title><div id="app"></div><script src="/main.js"></script>'
SCRIPT = """
fetch("/data.json").then((answer) => answer.json()).then((data) => {
  document.getElementById("app").innerHTML =
    `<article><h1>${data.title}</h1><p>${data.text}</p><a href="/next">next</a><img src="/a.png"></article>`;
});
"""
TEXT = "This text was fetched by a script, and no reader without a browser has ever seen it."


def app() -> dict[str, str | web.Response]:
    """A page that is nothing before its script has run."""
    return {
        "/": SHELL,
        "/main.js": web.Response(text=SCRIPT, content_type="text/javascript"),
        "/data.json": web.Response(text=json.dumps({"title": "Rivers", "text": TEXT})),
        "/next": f"<h1>Next</h1><p>{TEXT}</p>",
    }


@pytest.fixture
async def renderer(site: Site) -> AsyncIterator[Renderer]:
    running = Renderer(executable=CHROMIUM, user_agent="WeirBot/1.0", permitted_hosts=[site.host])
    yield running
    await running.close()


async def test_no_page_reaches_the_machine_it_is_rendered_on(site: Site, renderer: Renderer) -> None:
    async with running_listener() as listener:
        port = listener.port
        hosts = ("127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "0x7f.1", "127.0.0.1.nip.io")
        urls = json.dumps([f"http://{host}:{port}/" for host in hosts])
        site.pages["/"] = f"""<p id=said>waiting</p><iframe src="http://127.0.0.1:{port}/frame"></iframe>
            <link rel=prefetch href="http://127.0.0.1:{port}/"><link rel=dns-prefetch href="//weir.test">
            <script>
            new WebSocket("ws://127.0.0.1:{port}/");
            new EventSource("http://127.0.0.1:{port}/");
            navigator.sendBeacon("http://127.0.0.1:{port}/", "x");
            try {{ new RTCPeerConnection({{iceServers: [{{urls: "stun:127.0.0.1:{port}"}}]}})
                .createDataChannel("x") }} catch (error) {{}}
            Promise.allSettled({urls}.map((url) => fetch(url, {{mode: "no-cors"}}))).then((all) => {{
              document.getElementById("said").textContent = `${{all.length}} tried`;
            }});
            </script>"""
        rendered = await renderer.render(f"{site.url}/")
        assert f"{len(hosts)} tried" in rendered.html
        site.pages["/away"] = web.Response(status=302, headers={"Location": f"http://127.0.0.1:{port}/"})
        site.pages["/script"] = f"<script>location = 'http://127.0.0.1:{port}/'</script>"
        for url in (f"http://localhost:{port}/", f"{site.url}/away", f"{site.url}/script"):
            try:
                rendered = await renderer.render(url)
            except FetchError:
                continue
            assert "<p" not in rendered.html
        with pytest.raises(FetchRefusedError, match="may not be reached"):
            await renderer.render(f"http://127.0.0.1:{port}/")
        assert listener.connections == 0


# Through both functions -----------------------------------------------------------------------------------


@pytest.fixture
def rendering_queue(queues: QueueUrls, monkeypatch: pytest.MonkeyPatch) -> str:
    """The browser's queue, which the scraping function knows. Take it before `crawler`."""
    monkeypatch.setenv("WEIR_RENDERING_QUEUE_URL", queues.rendering)
    return queues.rendering


@pytest.fixture
def render(rendering_queue: str, handler: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Handle]:
    """The handler of the rendering function, in the environment of the scraping function."""
    monkeypatch.setenv("WEIR_BROWSER_PATH", str(CHROMIUM))
    with fresh_handler("rendering") as module:
        yield module.handle


async def test_the_example_event_asks_for_nothing_that_is_there(render: Handle) -> None:
    event = json.loads((ROOT / "events" / "sqs-rendering.json").read_text())
    assert await asyncio.to_thread(render, event, Context()) == {"batchItemFailures": []}


async def take_over(queue_url: str, render: Handle) -> None:
    """Work on what waits for the browser."""
    answer = await call(
        client("sqs").receive_message, QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1
    )
    records = [
        {"messageId": m["MessageId"], "body": m["Body"], "eventSource": "aws:sqs"} for m in answer["Messages"]
    ]
    assert await asyncio.to_thread(render, {"Records": records}, Context()) == {"batchItemFailures": []}


async def test_a_page_that_needs_a_browser_gets_one(
    rendering_queue: str, render: Handle, site: Site, crawler: Crawler, objects: Objects
) -> None:
    site.pages |= app()
    scrape = await crawler.start(f"{site.url}/", depth_limit=1)
    await crawler.step()
    await take_over(rendering_queue, render)
    ended = await crawler.run(scrape)
    assert (ended.status, ended.page_counts) == ("completed", PageCounts(completed=2))
    pages = await crawler.pages(scrape)
    assert (pages["/"].rendering, pages["/"].title) == ("done", "Rivers")
    assert pages["/next"].rendering == "none"
    file = await crawler.file(f"{site.url}/")
    assert TEXT in (await objects.get(file.object_key)).decode()
    # Media are not asked for, and the browser says who asks.
    assert {visit.path for visit in site.visits} == {"/robots.txt", "/", "/main.js", "/data.json", "/next"}
    assert {visit.headers["User-Agent"] for visit in site.visits} == {
        "WeirBot/1.0 (+https://weir.example/bot)"
    }


async def test_a_page_that_cannot_be_rendered_says_why(
    rendering_queue: str, render: Handle, site: Site, crawler: Crawler
) -> None:
    site.pages |= {"/": SHELL, "/main.js": web.Response(text="location = 'https://elsewhere.test/'")}
    scrape = await crawler.start(f"{site.url}/", depth_limit=0, rules=CrawlRules(render="always"))
    await crawler.step()
    await take_over(rendering_queue, render)
    page = (await crawler.pages(scrape))["/"]
    assert (page.status, page.rendering) == ("skipped", "needed")
    assert page.error_message == "it leads to where nothing may be reached"
