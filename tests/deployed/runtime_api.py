"""A stand-in for the Lambda Runtime API, which takes answers in pieces, as they come.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming
"""

import asyncio
import http.client
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.deployed.web_adapter import Event, WebApplication, stream

_VERSION = "/2018-06-01/runtime/invocation"
_END_OF_PRELUDE = bytes(8)


@dataclass
class Invocation:
    """One event, and what has come of its answer so far."""

    event: Event
    came: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    data: bytes = b""

    async def prelude(self) -> dict[str, Any]:
        """Status and headers, once they are there."""
        await self.until(_END_OF_PRELUDE)
        head, _, self.data = self.data.partition(_END_OF_PRELUDE)
        found: dict[str, Any] = json.loads(head)
        return found

    async def until(self, part: bytes) -> bool:
        """Take pieces until `part` has come; false when the answer ends without it."""
        while part not in self.data:
            piece = await self.came.get()
            if piece is None:
                return False
            self.data += piece
        return True

    async def ended(self) -> None:
        """Take the rest."""
        while (piece := await self.came.get()) is not None:
            self.data += piece


class RuntimeApi:
    """Hands out events and takes answers."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[str | None] = asyncio.Queue()
        self._invocations: dict[str, Invocation] = {}

    def invoke(self, event: Event) -> Invocation:
        """Hand an event to the function."""
        identity = str(len(self._invocations))
        self._invocations[identity] = Invocation(event)
        self._waiting.put_nowait(identity)
        return self._invocations[identity]

    def shut_down(self) -> None:
        """Hand out no more events."""
        self._waiting.put_nowait(None)

    async def next(self, request: web.Request) -> web.Response:
        """GET /next: the next event, when there is one."""
        identity = await self._waiting.get()
        if identity is None:
            return web.Response(status=HTTPStatus.GONE)
        return web.json_response(
            self._invocations[identity].event, headers={"Lambda-Runtime-Aws-Request-Id": identity}
        )

    async def response(self, request: web.Request) -> web.Response:
        """POST /<id>/response: an answer, piece by piece."""
        assert request.headers["Lambda-Runtime-Function-Response-Mode"] == "streaming"
        assert request.headers["Transfer-Encoding"] == "chunked"
        invocation = self._invocations[request.match_info["identity"]]
        async for piece in request.content.iter_any():
            invocation.came.put_nowait(piece)
        invocation.came.put_nowait(None)
        return web.Response(status=202)


@asynccontextmanager
async def running_runtime(application: WebApplication) -> AsyncIterator[RuntimeApi]:
    """The API on a free port of 127.0.0.1, and the adapter's loop between it and the application."""
    api = RuntimeApi()
    routes = web.Application()
    routes.router.add_get(f"{_VERSION}/next", api.next)
    routes.router.add_post(f"{_VERSION}/{{identity}}/response", api.response)
    async with TestServer(routes, host="127.0.0.1") as server:
        adapter = asyncio.create_task(asyncio.to_thread(_adapt, server.port, application))
        yield api
        api.shut_down()
        await adapter


def _adapt(port: int | None, application: WebApplication) -> None:
    """Take events and stream their answers, until there are no more."""
    assert port is not None
    while True:
        with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
            connection.request("GET", f"{_VERSION}/next")
            taken = connection.getresponse()
            event = taken.read()
            if taken.status != HTTPStatus.OK:
                return
            connection.request(
                "POST",
                f"{_VERSION}/{taken.headers['Lambda-Runtime-Aws-Request-Id']}/response",
                body=stream(application, json.loads(event)),
                headers={
                    "Lambda-Runtime-Function-Response-Mode": "streaming",
                    "Content-Type": "application/vnd.awslambda.http-integration-response",
                    "Transfer-Encoding": "chunked",
                },
                encode_chunked=True,
            )
            connection.getresponse().read()
