"""Calls to one OpenAI-compatible endpoint: bytes in and bytes out.

A call is one POST with a bearer key, and an answer that is relayed is not parsed into objects, so of the
OpenAI SDK nothing is needed here (docs/decisions/0009).
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime

import aiohttp
import orjson
from yarl import URL

from shared.providers.failures import UpstreamFailure, kind_of_status
from shared.providers.load import Credentials

# Seconds. How long an answer may take is for the caller to bound: one may come after minutes of silence.
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5.0)

_SUCCESS = range(200, 300)

# Connections of one provider's key at once, as the OpenAI SDK has it.
_CONNECTIONS = 1000


class Endpoint:
    """One provider by one of its keys. Waits for an answer without end: bound each call by its deadline."""

    def __init__(self, credentials: Credentials, base_url: str | None = None) -> None:
        """Args:
        credentials: The provider and the key.
        base_url: Another of the provider's addresses than its usual one.
        """
        self._name = credentials.provider.name
        self._base_url = (base_url or credentials.provider.base_url).rstrip("/")
        self._urls: dict[str, URL] = {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=_TIMEOUT,
            headers={
                "Authorization": f"Bearer {credentials.api_key}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                # An answer is relayed as it comes, which a compressed one would not do piece by piece.
                "Accept-Encoding": "identity",
                "User-Agent": "weir",
            },
        )

    async def send(self, path: str, body: bytes) -> bytes:
        """POST a JSON body and return the whole answer.

        Raises:
            UpstreamFailure: No answer, or none of success.
        """
        async with self.stream(path, body) as pieces:
            return b"".join([piece async for piece in pieces])

    @asynccontextmanager
    async def stream(self, path: str, body: bytes) -> AsyncIterator[AsyncIterator[bytes]]:
        """POST a JSON body and yield the answer's bytes as they come; leaving the context ends the call.

        Raises:
            UpstreamFailure: On entry as `send`; while iterating, when the connection breaks.
        """
        response = await self._post(path, body)
        try:
            yield self._bytes(response)
        finally:
            # Ends the connection, unless the answer was read to its end.
            response.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _bytes(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        try:
            async for chunk in response.content.iter_any():
                yield chunk
        except TimeoutError as error:
            raise UpstreamFailure("timeout", self._name, "the stream stalled") from error
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamFailure("broken", self._name, "the stream broke off") from error

    async def _post(self, path: str, body: bytes) -> aiohttp.ClientResponse:
        try:
            # A redirect is no answer to a POST, and the key goes to nobody else.
            response = await self._session.post(self._url(path), data=body, allow_redirects=False)
            if response.status in _SUCCESS:
                return response
            async with response:
                failure = self._refusal(response, await response.read())
        except TimeoutError as error:
            raise UpstreamFailure("timeout", self._name, "no answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamFailure("unreachable", self._name, "no connection") from error
        raise failure

    def _url(self, path: str) -> URL:
        # Kept: to parse a URL takes as long as a third of the call.
        if path not in self._urls:
            self._urls[path] = URL(self._base_url + path)
        return self._urls[path]

    def _refusal(self, response: aiohttp.ClientResponse, content: bytes) -> UpstreamFailure:
        return UpstreamFailure(
            kind_of_status(response.status),
            self._name,
            _message(content),
            retry_after=_retry_after(response.headers),
        )


def _message(content: bytes) -> str:
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        body = None
    error = body.get("error", body) if isinstance(body, dict) else None
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return str(error["message"])
    return "the provider gave no reason"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds until the provider wants to be asked again: a number, or a date beside its own clock's.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after; OpenAI sends `retry-after-ms` as well.
    """
    try:
        if milliseconds := headers.get("retry-after-ms"):
            return float(milliseconds) / 1000
        value = headers.get("retry-after", "")
        if not value or value.replace(".", "", 1).isdigit():
            return float(value) if value else None
        until, now = parsedate_to_datetime(value), parsedate_to_datetime(headers["date"])
        return max(0.0, (until - now).total_seconds())
    except (ValueError, LookupError, TypeError):
        return None
