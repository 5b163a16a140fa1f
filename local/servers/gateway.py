"""The front door on 127.0.0.1: `python -m local.servers.gateway PORT`.

Stands in for API Gateway. Chat, embeddings and models go straight to the chat application in this process, so
that streams pass untouched. Everything else becomes a Lambda event for the api function, one at a time in one
thread, as a Lambda would handle it.
"""

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any

import uvicorn

from local.events import HttpRequest, HttpResponse, http_response, rest_event
from local.lambda_function import LambdaThread
from shared.errors import TooLargeError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Paths of the chat function, as in `template.yaml`.
_CHAT_PATHS = ("/v1/chat/", "/v1/embeddings", "/v1/models", "/healthz")

# Bytes. API Gateway's limit of a request body:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
BODY_LIMIT = 10 * 1024 * 1024


class Gateway:
    """An ASGI application over the two HTTP functions."""

    def __init__(self, chat: App, api: LambdaThread) -> None:
        self._chat = chat
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection. The server's lifespan is the chat application's."""
        if scope["type"] != "http" or scope["path"].startswith(_CHAT_PATHS):
            await self._chat(scope, receive, send)
            return
        body = await _read(receive)
        if body is None:
            await _send(_too_large(), send)
        else:
            event = rest_event(_request(scope, body), datetime.now(UTC))
            await _send(http_response(await self._api.invoke(event)), send)


async def _read(receive: Receive) -> bytes | None:
    """The whole body, or `None` when it is over the limit: then it is read to its end, but not kept.

    A client that is still sending would not see an answer.
    """
    body = bytearray()
    size = 0
    more = True
    while more:
        message = await receive()
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size <= BODY_LIMIT:
            body += chunk
        more = message.get("more_body", False)
    return bytes(body) if size <= BODY_LIMIT else None


def _request(scope: Scope, body: bytes) -> HttpRequest:
    return HttpRequest(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
        body=body,
        client=scope["client"][0] if scope.get("client") else "127.0.0.1",
    )


def _too_large() -> HttpResponse:
    import orjson

    error = TooLargeError(
        f"The request body is over {BODY_LIMIT // 1024**2} MB. Upload a large file with a presigned URL."
    )
    return HttpResponse(
        status=TooLargeError.status,
        headers=[("content-type", "application/json")],
        body=orjson.dumps(error.body()),
    )


async def _send(response: HttpResponse, send: Send) -> None:
    length = {"content-length"}
    headers = [(name, value) for name, value in response.headers if name.lower() not in length]
    headers.append(("content-length", str(len(response.body))))
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        }
    )
    await send({"type": "http.response.body", "body": response.body})


def main(port: int) -> None:
    """Serve until SIGTERM."""
    import importlib

    # Imported in turn: two threads importing at once gain nothing.
    chat: App = importlib.import_module("chat.handler").app
    gateway = Gateway(chat, LambdaThread("api"))
    uvicorn.run(
        gateway,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
