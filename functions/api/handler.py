"""REST API events, buffered: files, vector stores, scrapes, keys, usage, and the page.

Event: API Gateway's proxy event, version 1.0. One invocation at a time, as in Lambda: all of them share this
process's event loop, to which the connections belong.
"""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import cache
from typing import Any

from mangum import Mangum
from mangum.types import LambdaContext

from api.app import create_app
from api.services import open_services
from api.settings import ApiSettings
from shared.telemetry import logger

_settings = ApiSettings()
_log = logger("api", _settings.log_level)
_loop = asyncio.new_event_loop()
_resources = AsyncExitStack()


def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    # Mangum runs whatever loop is the thread's current one, and Python 3.14 makes none by itself.
    asyncio.set_event_loop(_loop)
    return _adapter()(event, context)


@cache
def _adapter() -> Mangum:
    services = _loop.run_until_complete(_resources.enter_async_context(open_services(_settings, _now, _log)))
    # Mangum would start and end a lifespan with every request.
    return Mangum(create_app(services, _log), lifespan="off")


def _now() -> datetime:
    return datetime.now(UTC)
