"""The WebSocket API on 127.0.0.1: `python -m local.servers.websocket PORT`.

Stands in for API Gateway: what clients do becomes events for the connections function, one at a time, and
`POST /@connections/{id}` reaches a client, or answers 410 when it has gone.
"""

import asyncio
import secrets
import sys
from collections.abc import Mapping
from typing import Any, Literal

from aiohttp import WSMsgType, web

from local.lambda_function import Event, LambdaThread, leave

# API Gateway's limits of a client's message, of a frame to it, and of its silence.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
_MESSAGE_BYTES, _FRAME_BYTES, _IDLE_SECONDS = 128 * 1024, 32 * 1024, 600

EventType = Literal["CONNECT", "MESSAGE", "DISCONNECT"]


class WebSocketGateway:
    """Every client that is connected."""

    def __init__(self, routes: LambdaThread) -> None:
        self._routes = routes
        self._clients: dict[str, web.WebSocketResponse] = {}

    def application(self) -> web.Application:
        """Clients connect to `/`; the workers post to `/@connections/{id}`."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/", self.connect),
                web.get("/healthz", _healthy),
                web.post("/@connections/{id}", self.post),
            ]
        )
        return app

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """One client, from its handshake to its end."""
        connection_id = secrets.token_urlsafe(11) + "="
        answer = await self._routes.invoke(websocket_event("CONNECT", connection_id, request.headers))
        if answer["statusCode"] != 200:
            body = answer.get("body", "")
            return web.Response(status=answer["statusCode"], text=body, content_type="application/json")
        chosen = answer.get("headers", {}).get("Sec-WebSocket-Protocol")
        client = web.WebSocketResponse(
            protocols=[chosen] if chosen else [],
            receive_timeout=_IDLE_SECONDS,
            max_msg_size=_MESSAGE_BYTES,
        )
        await client.prepare(request)
        self._clients[connection_id] = client
        try:
            await self._listen(client, connection_id)
        finally:
            del self._clients[connection_id]
            await asyncio.shield(self._routes.invoke(websocket_event("DISCONNECT", connection_id)))
        return client

    async def post(self, request: web.Request) -> web.Response:
        """Send a frame to a client."""
        frame = await request.read()
        client = self._clients.get(request.match_info["id"])
        if client is None or client.closed:
            return web.Response(status=410)
        if len(frame) > _FRAME_BYTES:
            return web.Response(status=413)
        try:
            await client.send_str(frame.decode())
        except ConnectionError:
            return web.Response(status=410)
        return web.Response()

    async def _listen(self, client: web.WebSocketResponse, connection_id: str) -> None:
        try:
            async for message in client:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    text = (
                        message.data
                        if isinstance(message.data, str)
                        else message.data.decode("utf-8", "replace")
                    )
                    await self._routes.invoke(websocket_event("MESSAGE", connection_id, body=text))
        except TimeoutError:
            await client.close(code=1001, message=b"Going away")


def websocket_event(
    kind: EventType, connection_id: str, headers: Mapping[str, str] | None = None, body: str | None = None
) -> Event:
    """An event of a WebSocket API.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html
    """
    routes = {"CONNECT": "$connect", "DISCONNECT": "$disconnect", "MESSAGE": "$default"}
    event: dict[str, Any] = {
        "requestContext": {"routeKey": routes[kind], "eventType": kind, "connectionId": connection_id},
        "isBase64Encoded": False,
    }
    if headers is not None:
        event["headers"] = dict(headers)
    if body is not None:
        event["body"] = body
    return event


async def _healthy(request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


def main(port: int) -> None:
    """Serve until SIGTERM."""
    gateway = WebSocketGateway(LambdaThread("connections"))
    web.run_app(gateway.application(), host="127.0.0.1", port=port, print=None, shutdown_timeout=1)
    leave()


if __name__ == "__main__":
    main(int(sys.argv[1]))
