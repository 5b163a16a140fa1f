"""A web site on the loopback, and names that lead to it, for tests of the crawler."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer
from redis.asyncio import Redis

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
# A page is its HTML, a whole answer, or what makes one.
Page = str | web.Response | Answer


@dataclass(frozen=True)
class Visit:
    """One request: its path with query, its headers, and when it came, in seconds of a monotonic clock."""

    path: str
    headers: Mapping[str, str]
    at: float


@dataclass
class Site:
    """A running site. What is not among its pages is a 404; change `pages` at will."""

    pages: dict[str, Page]
    url: str = ""
    host: str = ""
    visits: list[Visit] = field(default_factory=list)

    def visited(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(1 for visit in self.visits if visit.path == path)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.visits.append(Visit(request.path_qs, dict(request.headers), time.monotonic()))
        page = self.pages.get(request.path_qs, web.Response)
        if isinstance(page, str):
            return web.Response(text=page, content_type="text/html")
        if isinstance(page, web.Response):
            return web.Response(status=page.status, headers=page.headers, body=page.body)
        if page is web.Response:
            return web.Response(status=404)
        return await page(request)


@asynccontextmanager
async def running_site(pages: dict[str, Page]) -> AsyncIterator[Site]:
    """Serve pages, by path with query, on a free port of 127.0.0.1."""
    site = Site(pages)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", site.answer)
    async with TestServer(application, host="127.0.0.1") as server:
        site.url = f"http://127.0.0.1:{server.port}"
        site.host = f"127.0.0.1:{server.port}"
        yield site


async def forget_hosts(valkey_url: str, *sites: Site) -> None:
    """Make sites unknown to the cache, where an earlier test may have had one on the same port."""
    async with Redis.from_url(valkey_url) as client:
        await client.delete(*(f"robots:{{{site.url}}}" for site in sites))
        await client.delete(*(f"turns:{{{site.host}}}:clock" for site in sites))


@dataclass
class Listener:
    """A port that takes connections and counts them."""

    port: int = 0
    connections: int = 0


@asynccontextmanager
async def running_listener(answer: bytes = b"") -> AsyncIterator[Listener]:
    """Listen on a free port of 127.0.0.1, and answer every connection with the same bytes."""
    listener = Listener()

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        listener.connections += 1
        if answer:
            await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(count, "127.0.0.1", 0)
    async with server:
        listener.port = server.sockets[0].getsockname()[1]
        yield listener


class Names(AbstractResolver):
    """A resolver that answers from a script: the next answer each time, the last one from then on."""

    def __init__(self, names: Mapping[str, list[list[str]]]) -> None:
        self._names = {name: list(answers) for name, answers in names.items()}
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        self.asked.append(host)
        if host not in self._names:
            raise OSError("unknown name")
        answers = self._names[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=0, proto=0, flags=0)
            for address in addresses
        ]

    async def close(self) -> None:
        pass


def article(title: str, *links: str, head: str = "") -> str:
    """A page with a text of its own and links."""
    anchors = "".join(f'<p>More on <a href="{link}">that matter</a> is said elsewhere.</p>' for link in links)
    return (
        f"<html lang='en'><head><title>{title}</title>{head}</head><body><article><h1>{title}</h1>"
        f"<p>This page tells of {title} at some length, so that there is a text to be kept and found.</p>"
        f"<p>A second paragraph about {title} follows the first, as is usual in an article.</p>"
        f"{anchors}</article></body></html>"
    )
