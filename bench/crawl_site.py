"""A site of many pages for crawls, which measures its visitors: `bench.crawl_site PORT PAGES DELAY_MS`.

Page n links to its neighbours in a tree of tens and to pages beside it. `GET /stats` tells what was seen.
"""

import asyncio
import itertools
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from aiohttp import web

_SENTENCE = (
    "Page {n} tells of matter {n} at some length, so that there is a text to keep and to find, number {i}. "
)


@dataclass
class Visits:
    """Who came when. `gaps` are the seconds between the begins of two visits one after the other."""

    paths: Counter[str] = field(default_factory=Counter)
    begins: list[float] = field(default_factory=list)
    there: int = 0
    most: int = 0
    awaited: dict[int, asyncio.Event] = field(default_factory=dict)

    def begin(self, path: str) -> None:
        """Note one that comes now."""
        self.begins.append(time.monotonic())
        self.paths[path] += 1
        self.there += 1
        self.most = max(self.most, self.there)
        if reached := self.awaited.pop(len(self.begins), None):
            reached.set()

    async def come_to(self, count: int) -> None:
        """Wait until there have been `count` visits."""
        if len(self.begins) < count:
            await self.awaited.setdefault(count, asyncio.Event()).wait()

    def stats(self) -> dict[str, float]:
        """In numbers."""
        gaps = [later - earlier for earlier, later in itertools.pairwise(sorted(self.begins))]
        return {
            "visits": len(self.begins),
            "pages": len(self.paths),
            "most_at_once": self.most,
            "least_gap": min(gaps, default=0.0),
        }


def page(number: int, pages: int) -> str:
    """Some 3 KB of HTML with up to 12 links."""
    links = [*range(number * 10 + 1, number * 10 + 11), number + 1, (number * 7 + 3) % pages]
    items = "".join(f'<li><a href="/page/{link}">Page {link}</a></li>' for link in links if link < pages)
    body = "".join(
        f"<p>{''.join(_SENTENCE.format(n=number, i=5 * row + i) for i in range(5))}</p>" for row in range(4)
    )
    return (
        f"<html lang='en'><head><title>Page {number}</title></head><body><nav><ul>{items}</ul></nav>"
        f"<article><h1>Page {number}</h1>{body}</article></body></html>"
    )


def application(pages: int, delay: float, robots: str, visits: Visits) -> web.Application:
    """The site; each page takes `delay` seconds."""

    async def answer(request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        if number >= pages:
            raise web.HTTPNotFound
        visits.begin(request.path)
        try:
            await asyncio.sleep(delay)
        finally:
            visits.there -= 1
        return web.Response(text=page(number, pages), content_type="text/html")

    async def rules(request: web.Request) -> web.Response:
        return web.Response(text=robots) if robots else web.Response(status=404)

    async def stats(request: web.Request) -> web.Response:
        return web.json_response(visits.stats())

    made = web.Application()
    made.router.add_get("/page/{number:\\d+}", answer)
    made.router.add_get("/robots.txt", rules)
    made.router.add_get("/stats", stats)
    return made


def main(port: str, pages: str, delay_ms: str) -> None:
    """Serve on a port of the loopback until killed."""
    site = application(int(pages), int(delay_ms) / 1000, "", Visits())
    web.run_app(site, host="127.0.0.1", port=int(port), print=None, access_log=None)


if __name__ == "__main__":
    main(*sys.argv[1:])
