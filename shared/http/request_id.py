"""The identity of a request: in `x-request-id`, in the logs and in the ledger.

API Gateway's where there is one, so that both logs name it alike; else made here. Never the caller's choice:
that would let it be billed once for many requests.
"""

import uuid

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_KEY = "weir.request_id"


def request_id(scope: Scope) -> str:
    """The id of the request with this scope, made when first asked for."""
    state = scope.setdefault("state", {})
    if _KEY not in state:
        # The Lambda event, where Mangum runs the application.
        event = scope.get("aws.event") or {}
        state[_KEY] = event.get("requestContext", {}).get("requestId") or f"req_{uuid.uuid4().hex}"
    return str(state[_KEY])


class RequestIdHeader:
    """ASGI middleware: every answer carries `x-request-id`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identity = request_id(scope)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-request-id"] = identity
            await send(message)

        await self._app(scope, receive, send_with_id)
