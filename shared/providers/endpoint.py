"""Calls to one OpenAI-compatible endpoint: the OpenAI SDK over aiohttp, bytes in and bytes out.

The SDK gives connections, time-outs and errors; its parsing of answers is left out, for a chunk parsed into
objects and written out again costs some ten times as much as its bytes.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast

import httpx2
import openai

from shared.providers.failures import UpstreamFailure, kind_of_status
from shared.providers.load import Credentials

# Seconds. A provider may think for minutes before its first token, but sends keep-alives meanwhile.
_TIMEOUT = httpx2.Timeout(connect=5.0, read=120.0, write=30.0, pool=5.0)

# Answers are relayed as they are, so none may come compressed.
_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity"}


class Endpoint:
    """One provider, ready to be called."""

    def __init__(self, credentials: Credentials) -> None:
        self._name = credentials.provider.name
        self._client = openai.AsyncOpenAI(
            base_url=credentials.provider.base_url,
            api_key=credentials.api_key,
            max_retries=0,
            timeout=_TIMEOUT,
            http_client=openai.DefaultAioHttpClient(timeout=_TIMEOUT),
        )

    async def send(self, path: str, body: bytes) -> bytes:
        """POST a JSON body and return the whole answer.

        Raises:
            UpstreamFailure: No answer, or a status of 400 or more.
        """
        try:
            response = await self._post(path, body, stream=False)
        except openai.APIError as error:
            raise self._failure(error) from error
        return response.content

    def stream(self, path: str, body: bytes) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """POST a JSON body and yield the answer's bytes as they come; leaving the context ends the call.

        Raises:
            UpstreamFailure: On entry as `send`; while iterating, when the connection breaks.
        """
        return self._stream(path, body)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    @asynccontextmanager
    async def _stream(self, path: str, body: bytes) -> AsyncIterator[AsyncIterator[bytes]]:
        try:
            response = await self._post(path, body, stream=True)
        except openai.APIError as error:
            raise self._failure(error) from error
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
        # With `cast_to` the response class itself, the SDK hands the response over unread and unparsed.
        response = await self._client.post(
            path,
            content=body,
            cast_to=httpx2.Response,
            options={"headers": _HEADERS},
            stream=stream,
            stream_cls=openai.AsyncStream[Any] if stream else None,
        )
        return cast("httpx2.Response", response)

    def _failure(self, error: openai.APIError) -> UpstreamFailure:
        if isinstance(error, openai.APITimeoutError):
            return UpstreamFailure("timeout", self._name, "no answer in time")
        if isinstance(error, openai.APIStatusError):
            return UpstreamFailure(
                kind_of_status(error.status_code),
                self._name,
                _message(error.body),
                retry_after=_seconds(error.response.headers.get("retry-after")),
            )
        return UpstreamFailure("unreachable", self._name, "no connection")


def _message(body: object) -> str:
    # The SDK hands over what stands under "error" when the body is of OpenAI's shape.
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        return str(body["message"])
    return "the provider gave no reason"


def _seconds(retry_after: str | None) -> float | None:
    try:
        return float(retry_after) if retry_after else None
    except ValueError:
        return None
