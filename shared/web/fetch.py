"""Fetches one URL: over checked connections, redirects followed by hand, bounded in bytes and time."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import urljoin

from shared.errors import InvalidRequestError
from shared.web.answer import (
    Fetched,
    FetchError,
    FetchFailedError,
    FetchRefusedError,
    TooManyRedirectsError,
)
from shared.web.connection import AddressRefusedError, open_session
from shared.web.inflate import CorruptBodyError
from shared.web.reading import Reading
from shared.web.urls import host_and_port, normalise

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver

__all__ = [
    "FetchError",
    "FetchFailedError",
    "FetchLimits",
    "FetchRefusedError",
    "Fetched",
    "Fetcher",
    "Permit",
    "UnreachableError",
    "Validators",
]

_REDIRECTS = frozenset((301, 302, 303, 307, 308))

# Asked before each URL is requested, redirects included; refuses by raising.
Permit = Callable[[str], Awaitable[None]]


class UnreachableError(FetchFailedError):
    """The host did not answer, or not in time; it may later."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, transient=True)


class RedirectCircleError(TooManyRedirectsError):
    """A redirect to where the fetch has been: what sites do that want a cookie back."""

    def __init__(self) -> None:
        FetchFailedError.__init__(
            self, "it redirects in a circle; it may want cookies, which are not kept", transient=False
        )


@dataclass(frozen=True, kw_only=True)
class Validators:
    """What the server said of `url` before, sent so that it may answer 304 (RFC 9110, 13)."""

    url: str
    etag: str | None
    last_modified: str | None

    def headers(self, url: str) -> dict[str, str]:
        """The conditions of a request for `url`."""
        sent = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in sent.items() if value and url == self.url}


@dataclass(frozen=True, kw_only=True)
class FetchLimits:
    """`max_bytes` bounds a body as sent and decompressed; `seconds`, a fetch with all its redirects."""

    max_bytes: int = 20 * 1024 * 1024
    seconds: float = 30.0
    redirects: int = 5


class Fetcher:
    """Fetches as one User-Agent. Close it, or use it with `async with`, in the event loop that used it."""

    def __init__(
        self,
        *,
        user_agent: str,
        permitted_hosts: Collection[str] = (),
        limits: FetchLimits = FetchLimits(),
        resolver: "AbstractResolver | None" = None,
    ) -> None:
        """Args:
        permitted_hosts: `host:port` of hosts that may be at private addresses.
        """
        self._user_agent = user_agent
        self._permitted_hosts = frozenset(permitted_hosts)
        self._limits = limits
        self._resolver = resolver
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def fetch(
        self,
        url: str,
        *,
        permit: Permit | None = None,
        accepts: Callable[[str], bool] | None = None,
        excess: Literal["refuse", "truncate"] = "refuse",
        max_bytes: int | None = None,
        validators: Validators | None = None,
    ) -> Fetched:
        """Fetch `url` and follow its redirects.

        Args:
            permit: Asked before each URL is requested.
            accepts: Whether a media type is wanted; any other is refused before its body is read.
            excess: What becomes of a body with more than `max_bytes`.
            validators: Of an earlier answer; the status is 304 if it still holds.

        Raises:
            FetchRefusedError: A URL, address, media type or size that is not fetched, or `permit` refused.
            FetchFailedError: No answer, a broken one, a slow one, or too many redirects.
        """
        reading = Reading(accepts=accepts, excess=excess, max_bytes=max_bytes or self._limits.max_bytes)
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await self._follow(url, permit, reading, validators)
        except TimeoutError as error:
            reason = f"no complete answer within {self._limits.seconds:g} s"
            raise UnreachableError(reason) from error

    async def _follow(
        self, url: str, permit: Permit | None, reading: Reading, validators: Validators | None
    ) -> Fetched:
        visited: set[str] = set()
        for _ in range(self._limits.redirects + 1):
            url = _checked(url)
            if url in visited:
                raise RedirectCircleError
            visited.add(url)
            if permit is not None:
                await permit(url)
            answer = await self._ask(url, reading, validators.headers(url) if validators else {})
            if isinstance(answer, Fetched):
                return answer
            url = answer
        raise TooManyRedirectsError(self._limits.redirects)

    async def _ask(self, url: str, reading: Reading, headers: Mapping[str, str]) -> Fetched | str:
        """One request: the answer, or where it redirects to."""
        import aiohttp
        from yarl import URL

        session = self._session(permitted=host_and_port(url) in self._permitted_hosts)
        try:
            async with session.get(URL(url, encoded=True), allow_redirects=False, headers=headers) as answer:
                location = answer.headers.get("Location")
                if answer.status in _REDIRECTS and location:
                    return urljoin(url, location)
                return await reading.read(url, answer)
        except ValueError as error:
            raise FetchRefusedError("the URL is not valid") from error
        except (aiohttp.ClientError, OSError, CorruptBodyError) as error:
            raise _in_words(error) from error

    def _session(self, *, permitted: bool) -> "aiohttp.ClientSession":
        if permitted not in self._sessions:
            self._sessions[permitted] = open_session(
                permitted=permitted, user_agent=self._user_agent, resolver=self._resolver
            )
        return self._sessions[permitted]


def _checked(url: str) -> str:
    try:
        return normalise(url)
    except InvalidRequestError as error:
        raise FetchRefusedError(error.message) from error


def _in_words(error: Exception) -> FetchError:
    """What went wrong, without addresses."""
    import aiohttp

    match error:
        case aiohttp.ClientConnectorError(os_error=AddressRefusedError()):
            return FetchRefusedError("the host is at an address that may not be reached")
        case aiohttp.ClientConnectorDNSError():
            return UnreachableError("the host has no address")
        case aiohttp.ClientSSLError():
            return FetchFailedError("no secure connection to the host is possible", transient=False)
        case aiohttp.ClientConnectorError() | aiohttp.ServerTimeoutError():
            return UnreachableError("the host cannot be reached")
        case CorruptBodyError() | aiohttp.ClientPayloadError():
            return FetchFailedError("the body is damaged or cut short", transient=True)
        case aiohttp.ClientResponseError():
            return FetchFailedError("the answer is not HTTP", transient=False)
        case _:
            return UnreachableError(f"the connection broke ({type(error).__name__})")
