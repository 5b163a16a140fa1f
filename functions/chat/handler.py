"""Entry of the chat function: `app`, run by uvicorn behind the Lambda Web Adapter or on one machine."""

import os
from datetime import UTC, datetime

from chat.app import create_app
from chat.settings import ChatSettings
from chat.snapshot import is_for_snapshot
from shared.completion.opening import open_completion
from shared.telemetry import logger

settings = ChatSettings()
log = logger("chat", settings.log_level)


def _now() -> datetime:
    return datetime.now(UTC)


app = create_app(
    lambda: open_completion(settings, _now, log),
    max_body_bytes=settings.max_body_bytes,
    log=log,
    for_snapshot=is_for_snapshot(os.environ),
)
