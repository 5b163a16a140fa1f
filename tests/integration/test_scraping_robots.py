"""robots.txt over real connections, remembered in a real Valkey."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from shared.valkey.client import Valkey
from shared.web.fetch import Fetcher, FetchFailedError, FetchLimits, FetchRefusedError
from shared.web.robots import Robots, Ruling
from tests.integration.scraping_site import Site, forget_hosts, running_listener, running_site

FREE = Ruling(allowed=True, crawl_delay=0.0)


@pytest.fixture
async def site(valkey_url: str) -> AsyncIterator[Site]:
    async with running_site({}) as running:
        await forget_hosts(valkey_url, running)
        yield running


@pytest.fixture
async def fetcher(site: Site) -> AsyncIterator[Fetcher]:
    limits = FetchLimits(seconds=0.5)
    async with Fetcher(user_agent="WeirBot/1.0", permitted_hosts=[site.host], limits=limits) as running:
        yield running


@pytest.fixture
async def robots(fetcher: Fetcher, valkey_url: str) -> AsyncIterator[Robots]:
    valkey = Valkey(valkey_url, cluster=False, timeout_ms=1_000)
    yield Robots(fetcher, valkey, product="WeirBot")
    await valkey.close()


def text(content: str) -> web.Response:
    return web.Response(text=content, content_type="text/plain")


async def test_it_is_obeyed(site: Site, robots: Robots) -> None:
    site.pages["/robots.txt"] = text("User-agent: *\nDisallow: /private\nCrawl-delay: 3\n")
    assert await robots.ruling(f"{site.url}/a") == Ruling(allowed=True, crawl_delay=3.0)
    assert await robots.ruling(f"{site.url}/private/b") == Ruling(allowed=False, crawl_delay=3.0)
    await robots.permit(f"{site.url}/a")
    with pytest.raises(FetchRefusedError, match=r"robots\.txt"):
        await robots.permit(f"{site.url}/private/b")


async def test_it_is_read_once(site: Site, robots: Robots) -> None:
    site.pages["/robots.txt"] = text("User-agent: *\nDisallow: /private\n")
    rulings = await asyncio.gather(*(robots.ruling(f"{site.url}/{number}") for number in range(10)))
    assert all(ruling.allowed for ruling in rulings)
    site.pages["/robots.txt"] = text("User-agent: *\nDisallow: /\n")
    assert (await robots.ruling(f"{site.url}/a")).allowed
    assert site.visited("/robots.txt") == 1


async def test_without_a_cache_it_is_read_each_time(site: Site, fetcher: Fetcher) -> None:
    async with running_listener() as gone:
        pass
    valkey = Valkey(f"redis://127.0.0.1:{gone.port}", cluster=False, timeout_ms=50)
    robots = Robots(fetcher, valkey, product="WeirBot")
    site.pages["/robots.txt"] = text("User-agent: *\nDisallow: /private\n")
    assert (await robots.ruling(f"{site.url}/a")).allowed
    assert not (await robots.ruling(f"{site.url}/private")).allowed
    assert site.visited("/robots.txt") == 2
    await valkey.close()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
async def test_none_allows_everything(site: Site, robots: Robots, status: int) -> None:
    site.pages["/robots.txt"] = web.Response(status=status)
    assert await robots.ruling(f"{site.url}/private") == FREE


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_error_of_the_server_disallows_everything_for_now(
    site: Site, robots: Robots, status: int
) -> None:
    site.pages["/robots.txt"] = web.Response(status=status)
    for _ in range(2):
        with pytest.raises(FetchFailedError, match=f"status {status}") as failure:
            await robots.permit(f"{site.url}/a")
        assert failure.value.transient
    assert site.visited("/robots.txt") == 1


async def test_no_answer_disallows_everything_for_now(site: Site, robots: Robots) -> None:
    async def never(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    site.pages["/robots.txt"] = never
    with pytest.raises(FetchFailedError, match=r"within 0\.5 s") as failure:
        await robots.permit(f"{site.url}/a")
    assert failure.value.transient


async def test_redirects_are_followed(site: Site, robots: Robots) -> None:
    site.pages |= {
        "/robots.txt": web.Response(status=301, headers={"Location": "/rules"}),
        "/rules": text("User-agent: *\nDisallow: /private\n"),
    }
    assert not (await robots.ruling(f"{site.url}/private")).allowed


async def test_redirects_without_end_are_no_robots_txt(site: Site, robots: Robots) -> None:
    site.pages["/robots.txt"] = web.Response(status=301, headers={"Location": "/robots.txt"})
    assert await robots.ruling(f"{site.url}/private") == FREE


async def test_one_that_cannot_be_decoded_is_no_permission(site: Site, robots: Robots) -> None:
    site.pages["/robots.txt"] = web.Response(body=b"?", headers={"Content-Encoding": "br"})
    with pytest.raises(FetchFailedError, match="not asked for") as failure:
        await robots.permit(f"{site.url}/a")
    assert not failure.value.transient


async def test_the_beginning_of_a_long_one_counts(site: Site, robots: Robots) -> None:
    site.pages["/robots.txt"] = text("User-agent: *\nDisallow: /private\n" + "# padding\n" * 200_000)
    assert not (await robots.ruling(f"{site.url}/private")).allowed
    assert (await robots.ruling(f"{site.url}/a")).allowed


async def test_the_robots_txt_of_a_private_host_is_not_read(robots: Robots) -> None:
    async with running_listener() as listener:
        with pytest.raises(FetchRefusedError, match="may not be reached"):
            await robots.permit(f"http://127.0.0.1:{listener.port}/")
    assert listener.connections == 0
