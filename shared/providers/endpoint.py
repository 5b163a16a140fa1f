"""Calls to one OpenAI-compatible endpoint: the OpenAI SDK's connections and headers, bytes in and bytes out.

The SDK gives the connections (aiohttp), their limits, and the headers with its name and the key. Its request
and answer objects are left out: they cost some 240 us a call, a fourth of all that Weir did for one, and a
chunk parsed into objects and written out again costs some ten times as much as its bytes.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from email.utils import parsedate_to_datetime

import aiohttp
import httpx2
import openai
import orjson

from shared.providers.failures import UpstreamFailure, kind_of_status
from shared.providers.load import Credentials

# Seconds. How long an answer may take is for the caller to bound: one may come after minutes of silence.
_TIMEOUT = httpx2.Timeout(connect=5.0, read=None, write=30.0, pool=5.0)

# Answers are relayed as they are, so none may come compressed.
_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity"}


class Endpoint:
    """One provider by one of its keys. Waits for an answer without end: bound each call by its deadline."""

    def __init__(self, credentials: Credentials, base_url: str | None = None) -> None:
        """Args:
        credentials: The provider and the key.
        base_url: Another of the provider's addresses than its usual one.
        """
        self._name = credentials.provider.name
        self._http = openai.DefaultAioHttpClient(timeout=_TIMEOUT)
        client = openai.AsyncOpenAI(
            base_url=base_url or credentials.provider.base_url,
            api_key=credentials.api_key,
            http_client=self._http,
        )
        # Made once: neither changes from call to call, and to parse a URL takes 40 us.
        self._headers = httpx2.Headers({**_given(client.default_headers), **client.auth_headers, **_HEADERS})
        self._base_url = client.base_url
        self._urls: dict[str, httpx2.URL] = {}

    async def send(self, path: str, body: bytes) -> bytes:
        """POST a JSON body and return the whole answer.

        Raises:
            UpstreamFailure: No answer, or a status of 400 or more.
        """
        response = await self._post(path, body, stream=False)
        return response.content

    def stream(self, path: str, body: bytes) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """POST a JSON body and yield the answer's bytes as they come; leaving the context ends the call.

        Raises:
            UpstreamFailure: On entry as `send`; while iterating, when the connection breaks.
        """
        return self._stream(path, body)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    @asynccontextmanager
    async def _stream(self, path: str, body: bytes) -> AsyncIterator[AsyncIterator[bytes]]:
        response = await self._post(path, body, stream=True)
        try:
            yield self._bytes(response)
        finally:
            await response.aclose()

    async def _bytes(self, response: httpx2.Response) -> AsyncIterator[bytes]:
        try:
            async for chunk in response.aiter_raw():
                yield chunk
        except httpx2.TimeoutException as error:
            raise UpstreamFailure("timeout", self._name, "the stream stalled") from error
        except (httpx2.HTTPError, OSError) as error:
            raise UpstreamFailure("broken", self._name, "the stream broke off") from error

    async def _post(self, path: str, body: bytes, *, stream: bool) -> httpx2.Response:
        request = httpx2.Request(
            "POST",
            self._url(path),
            headers=self._headers,
            content=body,
            extensions={"timeout": _TIMEOUT.as_dict()},
        )
        try:
            response = await self._http.send(request, stream=stream)
            if response.is_success:
                return response
            try:
                failure = self._refusal(response, await response.aread())
            finally:
                await response.aclose()
        except httpx2.TimeoutException as error:
            raise UpstreamFailure("timeout", self._name, "no answer in time") from error
        except (httpx2.HTTPError, aiohttp.ClientError, OSError) as error:
            raise UpstreamFailure("unreachable", self._name, "no connection") from error
        raise failure

    def _url(self, path: str) -> httpx2.URL:
        if path not in self._urls:
            self._urls[path] = self._base_url.join(path.lstrip("/"))
        return self._urls[path]

    def _refusal(self, response: httpx2.Response, content: bytes) -> UpstreamFailure:
        return UpstreamFailure(
            kind_of_status(response.status_code),
            self._name,
            _message(content),
            retry_after=_retry_after(response.headers),
        )


def _given(headers: dict[str, str | openai.Omit]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if isinstance(value, str)}


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
