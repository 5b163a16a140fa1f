"""WebSocket API events: `$connect`, `$disconnect`, and every frame of a client.

Event: `{"requestContext": {"connectionId", "eventType"}, "headers", "body"}`; the type is `CONNECT`,
`MESSAGE` or `DISCONNECT`.
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html
"""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson
from aws_lambda_powertools.utilities.typing import LambdaContext

from connections.opening import open_routes
from connections.routes import Routes
from connections.settings import ConnectionsSettings
from shared.errors import WeirError
from shared.telemetry import logger

_settings = ConnectionsSettings()
_log = logger("connections", _settings.log_level)
_loop = asyncio.new_event_loop()
_resources = AsyncExitStack()


def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one event; the answer to `CONNECT` decides whether the client comes in."""
    try:
        return _loop.run_until_complete(_answer(_routes(), event))
    except WeirError as refused:
        return {"statusCode": refused.status, "body": orjson.dumps(refused.body()).decode()}


async def _answer(routes: Routes, event: dict[str, Any]) -> dict[str, Any]:
    connection_id = event["requestContext"]["connectionId"]
    match event["requestContext"]["eventType"]:
        case "CONNECT":
            chosen = await routes.connect(connection_id, event.get("headers") or {})
            return {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": chosen} if chosen else {}}
        case "DISCONNECT":
            await routes.disconnect(connection_id)
        case _:
            await routes.frame(connection_id, event.get("body") or "")
    return {"statusCode": 200}


@cache
def _routes() -> Routes:
    opening = open_routes(_settings, clock=lambda: datetime.now(UTC))
    return _loop.run_until_complete(_resources.enter_async_context(opening))
