"""robots.txt (RFC 9309), and what pages say of themselves to robots.

By the RFC, 2xx is read, the first 512 KiB of it; 4xx and redirects without end allow everything; 5xx, a
timeout and whatever else keeps it from being read disallow everything for now. 429 counts as 5xx: it asks for
less, not for more.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from pydantic import BaseModel, ConfigDict

from shared.charset.decode import decode
from shared.valkey.client import Valkey
from shared.web.answer import Fetched, FetchFailedError, FetchRefusedError, TooManyRedirectsError
from shared.web.fetch import Fetcher
from shared.web.urls import origin

if TYPE_CHECKING:
    from protego import Protego

_MAX_BYTES = 512 * 1024

# Seconds that robots.txt is remembered; the RFC allows a day.
_TTL = 6 * 3600
_TTL_UNREACHABLE = 60

# A longer crawl-delay is taken for this many seconds: nobody means to be read for weeks.
MAX_CRAWL_DELAY = 120.0

# Directives whose value follows a colon, where otherwise the name of a robot stands.
_WITH_VALUE = frozenset(("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"))


@dataclass(frozen=True)
class Ruling:
    """What robots.txt says of one URL. `crawl_delay` is in seconds, 0 when it names none."""

    allowed: bool
    crawl_delay: float


@dataclass(frozen=True)
class Directives:
    """What a page asks of robots: `noindex` not to be kept, `nofollow` that its links be left alone."""

    noindex: bool = False
    nofollow: bool = False


class _Remembered(BaseModel):
    """A robots.txt as it is cached; `failure` says why it could not be read."""

    model_config = ConfigDict(frozen=True)

    text: str = ""
    failure: str | None = None
    transient: bool = True


class Robots:
    """The robots.txt of every host, fetched when first needed and remembered in Valkey, if it is there.

    It is the same for all tenants, so the cache is theirs in common, as the host's patience is.
    """

    def __init__(self, fetcher: Fetcher, valkey: Valkey, *, product: str) -> None:
        """Args:
        product: The name that robots.txt knows this robot by, without version.
        """
        self._fetcher = fetcher
        self._valkey = valkey
        self._product = product
        self._reading: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def ruling(self, url: str) -> Ruling:
        """What the host of `url`, which is normalised, says of it.

        Raises:
            FetchFailedError: Its robots.txt cannot be read now, so nothing of it may be fetched.
            FetchRefusedError: The host is not one to fetch from.
        """
        remembered = await self._read(origin(url))
        if remembered.failure is not None:
            raise FetchFailedError(
                remembered.failure, transient=remembered.transient, retry_after=_TTL_UNREACHABLE
            )
        return read_robots(remembered.text, url, self._product)

    async def permit(self, url: str) -> None:
        """Refuse a URL that robots.txt disallows; fit for `Fetcher.fetch(permit=...)`.

        Raises:
            FetchRefusedError: Disallowed.
            FetchFailedError: As `ruling`.
        """
        if not (await self.ruling(url)).allowed:
            raise FetchRefusedError("robots.txt disallows it")

    async def _read(self, site: str) -> _Remembered:
        # Pages of one host come together; the first of them reads for all.
        async with self._reading.setdefault(site, asyncio.Lock()):
            key = f"robots:{{{site}}}"
            if cached := await self._valkey.attempt(lambda client: client.get(key)):
                return _Remembered.model_validate_json(cached)
            remembered = await self._ask(site)
            ttl = _TTL if remembered.failure is None else _TTL_UNREACHABLE
            await self._valkey.attempt(lambda client: client.set(key, remembered.model_dump_json(), ex=ttl))
            return remembered

    async def _ask(self, site: str) -> _Remembered:
        try:
            answer = await self._fetcher.fetch(f"{site}/robots.txt", excess="truncate", max_bytes=_MAX_BYTES)
        except TooManyRedirectsError:
            return _Remembered()
        except FetchFailedError as error:
            return _Remembered(
                failure=f"robots.txt of the host cannot be read: {error.reason}", transient=error.transient
            )
        return _remember(answer)


def read_robots(text: str, url: str, product: str) -> Ruling:
    """What a robots.txt says to `product` of `url`."""
    if not text:
        return Ruling(allowed=True, crawl_delay=0.0)
    rules = _parsed(text)
    return Ruling(rules.can_fetch(url, product), _delay(rules, product))


@lru_cache(maxsize=100)
def _parsed(text: str) -> "Protego":
    from protego import Protego

    return Protego.parse(text)


def read_directives(values: Iterable[str], product: str) -> Directives:
    """Read `X-Robots-Tag` headers or the content of robots `<meta>` tags, as far as they speak to `product`.

    https://developers.google.com/search/docs/crawling-indexing/robots-meta-tag
    """
    asked = {directive for value in values for directive in _directives(value, product.lower())}
    return Directives(
        noindex=not asked.isdisjoint(("noindex", "none")), nofollow=not asked.isdisjoint(("nofollow", "none"))
    )


def _directives(value: str, product: str) -> Iterable[str]:
    for_us = True
    for part in value.lower().split(","):
        name, colon, rest = part.partition(":")
        directive = part
        if colon and name.strip() not in _WITH_VALUE:
            for_us, directive = name.strip() == product, rest
        if for_us:
            yield directive.strip()


def _remember(answer: Fetched) -> _Remembered:
    if 200 <= answer.status < 300:
        return _Remembered(text=decode(answer.body, answer.charset).text)
    if 400 <= answer.status < 500 and answer.status != 429:
        return _Remembered()
    return _Remembered(failure=f"robots.txt of the host cannot be read: status {answer.status}")


def _delay(rules: "Protego", product: str) -> float:
    delay = rules.crawl_delay(product) or 0.0
    if rate := rules.request_rate(product):
        delay = max(delay, rate.seconds / rate.requests)
    return min(max(delay, 0.0), MAX_CRAWL_DELAY)
