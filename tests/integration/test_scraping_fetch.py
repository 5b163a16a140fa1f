"""Fetching over real connections: redirects, addresses, sizes, times."""

import asyncio
import gzip
import time
import tracemalloc
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from shared.web.fetch import Fetcher, FetchFailedError, FetchLimits, FetchRefusedError, Validators
from tests.integration.scraping_site import Listener, Names, Site, article, running_listener, running_site

AGENT = "WeirBot/1.0 (+https://weir.example/bot)"
LIMITS = FetchLimits(max_bytes=1_000_000, seconds=5.0)

# Spellings of the loopback with a port to follow. None may lead to a connection.
LOOPBACKS = [
    "127.0.0.1",
    "127.0.0.2",
    "127.1",
    "127.0.1",
    "0127.0.0.1",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "0x7f.1",
    "0x7f000001",
    "2130706433",
    "017700000001",
    "0",
    "0.0.0.0",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "127.0.0.1.",
    "１２７.0.0.1",
    "①②⑦.0.0.1",
    "127。0。0。1",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:7f00:1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::1]",
    "[2606:4700::5efe:7f00:1]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fc00::1]",
    "[ff02::1]",
    "user@127.0.0.1",
    "example.com:80@127.0.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
    "metadata.test",
    "loopback.test",
    "mapped.test",
    "both.test",
]

NAMES = {
    "metadata.test": [["169.254.169.254"]],
    "loopback.test": [["127.0.0.1"]],
    "mapped.test": [["::ffff:127.0.0.1"]],
    "both.test": [["127.0.0.1", "10.0.0.1"]],
    "localhost": [["127.0.0.1", "::1"]],
    "127.1": [["127.0.0.1"]],
    "0x7f.1": [["127.0.0.1"]],
    "0x7f.0.0.1": [["127.0.0.1"]],
    "0x7f000001": [["127.0.0.1"]],
    "0177.0.0.1": [["127.0.0.1"]],
}


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running_site({}) as running:
        yield running


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    async with running_listener() as running:
        yield running


@pytest.fixture
async def fetcher(site: Site) -> AsyncIterator[Fetcher]:
    """Permitted to visit the site, and nothing else on this machine."""
    async with Fetcher(user_agent=AGENT, permitted_hosts=[site.host], limits=LIMITS) as running:
        yield running


def redirect(location: str, status: int = 302) -> web.Response:
    return web.Response(status=status, headers={"Location": location})


async def test_an_answer_is_told_whole(site: Site, fetcher: Fetcher) -> None:
    site.pages["/a?b=1"] = web.Response(
        body="你好".encode("gbk"),
        headers={
            "Content-Type": "Text/HTML; charset=GBK",
            "X-Robots-Tag": "noindex",
            "Content-Disposition": 'inline; filename="a.html"',
        },
    )
    answer = await fetcher.fetch(f"{site.url}/a?b=1#part")
    assert (answer.url, answer.status) == (f"{site.url}/a?b=1", 200)
    assert (answer.media_type, answer.charset) == ("text/html", "GBK")
    assert answer.body.decode("gbk") == "你好"
    assert answer.robots == ("noindex",)
    assert answer.content_disposition == 'inline; filename="a.html"'
    assert not answer.truncated


async def test_a_request_says_who_asks_and_carries_no_cookies(site: Site, fetcher: Fetcher) -> None:
    site.pages["/"] = web.Response(headers={"Set-Cookie": "id=1; Path=/"})
    await fetcher.fetch(site.url)
    await fetcher.fetch(site.url)
    assert [visit.headers["User-Agent"] for visit in site.visits] == [AGENT, AGENT]
    assert all("Cookie" not in visit.headers for visit in site.visits)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(site: Site, fetcher: Fetcher, status: int) -> None:
    site.pages |= {
        "/a": redirect("b?x=1", status),
        "/b?x=1": redirect("/c", status),
        "/c": article("c"),
    }
    answer = await fetcher.fetch(f"{site.url}/a")
    assert answer.url == f"{site.url}/c"
    assert b"This page tells of c" in answer.body


async def test_each_redirect_is_asked_about(site: Site, fetcher: Fetcher) -> None:
    site.pages |= {"/a": redirect("/b"), "/b": article("b")}
    asked: list[str] = []

    async def permit(url: str) -> None:
        asked.append(url)
        if url.endswith("/b"):
            raise FetchRefusedError("not there")

    with pytest.raises(FetchRefusedError, match="not there"):
        await fetcher.fetch(f"{site.url}/a", permit=permit)
    assert asked == [f"{site.url}/a", f"{site.url}/b"]
    assert site.visited("/b") == 0


async def test_redirects_end(site: Site, fetcher: Fetcher) -> None:
    site.pages |= {f"/{number}": redirect(f"/{number + 1}") for number in range(100)}
    with pytest.raises(FetchFailedError, match="5 redirects") as failure:
        await fetcher.fetch(f"{site.url}/0")
    assert not failure.value.transient
    assert len(site.visits) == 6


async def test_redirects_in_a_circle_end_at_once(site: Site, fetcher: Fetcher) -> None:
    site.pages |= {"/a": redirect("/b"), "/b": redirect("/a#again")}
    with pytest.raises(FetchFailedError, match="circle; it may want cookies") as failure:
        await fetcher.fetch(f"{site.url}/a")
    assert not failure.value.transient
    assert [visit.path for visit in site.visits] == ["/a", "/b"]


async def test_a_later_fetch_is_conditional(site: Site, fetcher: Fetcher) -> None:
    headers = {"ETag": '"1"', "Last-Modified": "Mon, 06 May 2024 00:00:00 GMT"}
    site.pages |= {"/": redirect("/a"), "/a": web.Response(text="a", headers=headers)}
    first = await fetcher.fetch(f"{site.url}/")
    assert (first.etag, first.last_modified) == (headers["ETag"], headers["Last-Modified"])
    validators = Validators(url=first.url, etag=first.etag, last_modified=first.last_modified)
    site.pages["/a"] = web.Response(status=304)
    again = await fetcher.fetch(f"{site.url}/", validators=validators)
    assert (again.status, again.body) == (304, b"")
    redirected, asked = site.visits[-2:]
    assert "If-None-Match" not in redirected.headers
    assert asked.headers["If-None-Match"] == headers["ETag"]
    assert asked.headers["If-Modified-Since"] == headers["Last-Modified"]


async def test_other_answers_are_no_errors_here(site: Site, fetcher: Fetcher) -> None:
    site.pages["/busy"] = web.Response(status=503, body=b"x" * 5_000, headers={"Retry-After": "7"})
    answer = await fetcher.fetch(f"{site.url}/busy")
    assert (answer.status, answer.body, answer.retry_after) == (503, b"", "7")


# Addresses ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", LOOPBACKS)
async def test_no_private_address_is_connected_to(listener: Listener, host: str) -> None:
    async with Fetcher(user_agent=AGENT, limits=LIMITS, resolver=Names(NAMES)) as fetcher:
        for scheme in ("http", "https"):
            with pytest.raises((FetchRefusedError, FetchFailedError)) as refusal:
                await fetcher.fetch(f"{scheme}://{host}:{listener.port}/")
            assert "127." not in refusal.value.reason.replace(host, "")
    assert listener.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::1]", "127.1", "0x7f000001"])
async def test_the_system_resolver_opens_no_way_either(listener: Listener, host: str) -> None:
    async with Fetcher(user_agent=AGENT, limits=LIMITS) as fetcher:
        with pytest.raises(FetchRefusedError):
            await fetcher.fetch(f"http://{host}:{listener.port}/")
    assert listener.connections == 0


@pytest.mark.parametrize("host", LOOPBACKS)
async def test_no_redirect_leads_to_a_private_address(site: Site, listener: Listener, host: str) -> None:
    site.pages["/"] = redirect(f"http://{host}:{listener.port}/")
    names = Names(NAMES)
    async with Fetcher(
        user_agent=AGENT, permitted_hosts=[site.host], limits=LIMITS, resolver=names
    ) as fetcher:
        with pytest.raises((FetchRefusedError, FetchFailedError)):
            await fetcher.fetch(site.url)
    assert site.visited("/") == 1
    assert listener.connections == 0


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://example.com/",
        "gopher://127.0.0.1:25/_HELO",
        "data:text/html,x",
        "javascript:alert(1)",
        "http://user:secret@example.com/",
        "http://[broken",
        "http://example.com:99999/",
    ],
)
async def test_redirects_to_what_is_no_web_page_are_refused(
    site: Site, fetcher: Fetcher, location: str
) -> None:
    site.pages["/"] = redirect(location)
    with pytest.raises(FetchRefusedError):
        await fetcher.fetch(site.url)


async def test_the_address_that_was_checked_is_the_one_connected_to(site: Site) -> None:
    """A name whose answers change: each connection has its own answer, and that answer is judged."""
    port = site.host.partition(":")[2]
    site.pages["/"] = web.Response(headers={"Connection": "close"})
    names = Names({"site.test": [["127.0.0.1"], ["169.254.169.254"]]})
    async with Fetcher(
        user_agent=AGENT, permitted_hosts=[f"site.test:{port}"], limits=LIMITS, resolver=names
    ) as fetcher:
        assert (await fetcher.fetch(f"http://site.test:{port}/")).status == 200
        assert names.asked == ["site.test"]
        with pytest.raises(FetchRefusedError):
            await fetcher.fetch(f"http://site.test:{port}/")
    assert names.asked == ["site.test", "site.test"]
    assert len(site.visits) == 1


async def test_permission_is_for_one_port(site: Site, listener: Listener, fetcher: Fetcher) -> None:
    with pytest.raises(FetchRefusedError):
        await fetcher.fetch(f"http://127.0.0.1:{listener.port}/")
    assert listener.connections == 0


# Sizes ----------------------------------------------------------------------------------------------------


def compressed(body: bytes, encoding: str = "gzip") -> web.Response:
    return web.Response(body=body, headers={"Content-Encoding": encoding, "Content-Type": "text/html"})


async def test_compressed_bodies_are_read(site: Site, fetcher: Fetcher) -> None:
    site.pages["/"] = compressed(gzip.compress(b"hello" * 1_000))
    assert (await fetcher.fetch(site.url)).body == b"hello" * 1_000
    assert site.visits[0].headers["Accept-Encoding"] == "gzip, deflate"


async def test_a_gzip_bomb_is_refused_before_it_fills_the_memory(site: Site, fetcher: Fetcher) -> None:
    site.pages["/"] = compressed(gzip.compress(bytes(100_000_000)))
    tracemalloc.start()
    with pytest.raises(FetchRefusedError, match="1,000,000 bytes"):
        await fetcher.fetch(site.url)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip"])
async def test_an_encoding_that_was_not_asked_for_fails(site: Site, fetcher: Fetcher, encoding: str) -> None:
    site.pages["/"] = compressed(b"anything", encoding)
    with pytest.raises(FetchFailedError, match="not asked for") as failure:
        await fetcher.fetch(site.url)
    assert not failure.value.transient


async def test_a_damaged_body_fails(site: Site, fetcher: Fetcher) -> None:
    site.pages["/"] = compressed(gzip.compress(b"hello" * 1_000)[:-10])
    with pytest.raises(FetchFailedError, match="damaged"):
        await fetcher.fetch(site.url)


async def endless(request: web.Request) -> web.StreamResponse:
    """A body without a length that never ends."""
    answer = web.StreamResponse(headers={"Content-Type": "text/html"})
    await answer.prepare(request)
    while True:
        await answer.write(b"x" * 10_000)


async def test_a_body_over_the_limit_is_refused_or_cut(site: Site, fetcher: Fetcher) -> None:
    site.pages |= {"/announced": web.Response(body=b"x" * 1_000_001), "/endless": endless}
    for path in ("/announced", "/endless"):
        with pytest.raises(FetchRefusedError, match="1,000,000 bytes"):
            await fetcher.fetch(site.url + path)
    for path in ("/announced", "/endless"):
        answer = await fetcher.fetch(site.url + path, excess="truncate", max_bytes=1_000)
        assert (len(answer.body), answer.truncated) == (1_000, True)


async def test_a_body_at_the_limit_is_read(site: Site, fetcher: Fetcher) -> None:
    site.pages["/"] = web.Response(body=b"x" * 1_000_000)
    answer = await fetcher.fetch(site.url)
    assert (len(answer.body), answer.truncated) == (1_000_000, False)


async def test_a_media_type_that_is_not_wanted_is_refused_unread(site: Site, fetcher: Fetcher) -> None:
    site.pages["/"] = endless
    with pytest.raises(FetchRefusedError, match="text/html is not read"):
        await fetcher.fetch(site.url, accepts=lambda media_type: media_type == "application/pdf")


# Times and faults -----------------------------------------------------------------------------------------


async def drip(request: web.Request) -> web.StreamResponse:
    """A byte now and then, for ever."""
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b"x")
        await asyncio.sleep(0.05)


async def test_a_slow_body_ends_in_time(site: Site) -> None:
    site.pages["/"] = drip
    limits = FetchLimits(seconds=0.4)
    async with Fetcher(user_agent=AGENT, permitted_hosts=[site.host], limits=limits) as fetcher:
        began = time.monotonic()
        with pytest.raises(FetchFailedError, match=r"within 0\.4 s") as failure:
            await fetcher.fetch(site.url)
    assert failure.value.transient
    assert time.monotonic() - began < 3


async def test_slow_redirects_share_one_time(site: Site) -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.2)
        return redirect(f"/?n={len(site.visits)}")

    site.pages |= dict.fromkeys(["/", *(f"/?n={number}" for number in range(9))], slow)
    limits = FetchLimits(seconds=0.5)
    async with Fetcher(user_agent=AGENT, permitted_hosts=[site.host], limits=limits) as fetcher:
        with pytest.raises(FetchFailedError, match=r"within 0\.5 s"):
            await fetcher.fetch(site.url)
    assert len(site.visits) <= 3


@pytest.mark.parametrize(
    ("sent", "transient"),
    [
        (b"", True),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", True),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", False),
    ],
)
async def test_broken_servers_are_failures(sent: bytes, transient: bool) -> None:
    async with running_listener(sent) as listener:
        permitted = [f"127.0.0.1:{listener.port}"]
        async with Fetcher(user_agent=AGENT, permitted_hosts=permitted, limits=LIMITS) as fetcher:
            with pytest.raises(FetchFailedError) as failure:
                await fetcher.fetch(f"http://127.0.0.1:{listener.port}/")
    assert failure.value.transient is transient


async def test_a_host_that_is_not_there_is_a_passing_failure() -> None:
    async with running_listener() as gone:
        pass
    async with Fetcher(
        user_agent=AGENT,
        permitted_hosts=[f"127.0.0.1:{gone.port}"],
        limits=LIMITS,
        resolver=Names({}),
    ) as fetcher:
        with pytest.raises(FetchFailedError, match="cannot be reached") as failure:
            await fetcher.fetch(f"http://127.0.0.1:{gone.port}/")
        assert failure.value.transient
        with pytest.raises(FetchFailedError, match="has no address") as failure:
            await fetcher.fetch("http://nowhere.test/")
        assert failure.value.transient


async def test_a_host_without_tls_has_no_secure_connection(site: Site, fetcher: Fetcher) -> None:
    with pytest.raises(FetchFailedError, match="secure connection") as failure:
        await fetcher.fetch(f"https://{site.host}/")
    assert not failure.value.transient
