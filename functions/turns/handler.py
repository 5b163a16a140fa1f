"""SQS: a turn -> answered over its WebSocket connection, frame by frame.

Event: `{"Records": [{"messageId", "receiptHandle", "body": Turn as JSON, ...}]}`. A turn that another worker
has goes back alone; one that its client no longer wants is done.
"""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.aws.batch import process_batch
from shared.telemetry import logger
from shared.websocket.turn import Turn
from turns.opening import open_worker
from turns.settings import TurnsSettings
from turns.visibility import hidden
from turns.worker import TurnBusyError, Worker

_settings = TurnsSettings()
_log = logger("turns", _settings.log_level)
_loop = asyncio.new_event_loop()
_resources = AsyncExitStack()


def handle(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Answer the turns of one batch; answers the messages that go back to the queue."""
    worker = _worker()

    async def answer(record: SQSRecord) -> None:
        try:
            lost = _settings.turn_lost_seconds
            async with hidden(_settings.turns_queue_url, record.receipt_handle, lost):
                await worker.handle(Turn.model_validate_json(record.body))
        except TurnBusyError as busy:
            _log.info("turn goes back", extra={"message_id": record.message_id, "reason": str(busy)})
            raise
        except Exception:
            _log.exception("turn goes back", extra={"message_id": record.message_id})
            raise

    return process_batch(event, answer, loop=_loop, concurrency=10)


@cache
def _worker() -> Worker:
    opening = open_worker(_settings, lambda: datetime.now(UTC), _log)
    return _loop.run_until_complete(_resources.enter_async_context(opening))
