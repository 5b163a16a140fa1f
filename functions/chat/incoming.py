"""From an HTTP request to a `Call`."""

import time
from typing import Any

import orjson
from starlette.requests import Request

from shared.completion.call import Call, EndpointName
from shared.completion.opening import Opened
from shared.completion.request import R, parse_request
from shared.errors import InvalidRequestError, TooLargeError
from shared.http.request_id import request_id
from shared.limits.caller import Caller


def connections_of(request: Request) -> Opened:
    """What the application opened at its start."""
    connections: Opened = request.app.state.connections
    return connections


async def caller_of(request: Request) -> Caller:
    """Who asks.

    Raises:
        AuthenticationError: No valid key.
    """
    connections = connections_of(request)
    return await connections.keyring.authenticate(
        request.headers.get("authorization"), connections.services.clock()
    )


async def call_of(request: Request, kind: type[R], endpoint: EndpointName) -> Call[R]:
    """The whole call: authenticated first, so that strangers' bodies are not read.

    Raises:
        WeirError: No valid key, a body over the limit, or one that is not of this kind.
    """
    started_monotonic = time.monotonic()
    caller = await caller_of(request)
    raw = await _bounded_body(request, request.app.state.max_body_bytes)
    body = _json_object(raw)
    return Call(
        request_id=request_id(request.scope),
        endpoint=endpoint,
        caller=caller,
        body=body,
        body_bytes=len(raw),
        request=parse_request(kind, body),
        started=connections_of(request).services.clock(),
        started_monotonic=started_monotonic,
    )


def _json_object(raw: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidRequestError(f"The body is not valid JSON: {error}.") from error
    if not isinstance(body, dict):
        raise InvalidRequestError("The body must be a JSON object.")
    return body


async def _bounded_body(request: Request, limit: int) -> bytes:
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > limit:
            raise TooLargeError(f"The body is over {limit} bytes; send images by URL, or upload files first.")
    return bytes(received)
