"""SQS: batches of model calls, step by step: split the file, ask a chunk's lines, write the results.

Event: `{"Records": [{"messageId", "receiptHandle", "body", ...}]}`, each body a `WorkChunk` or `AdvanceBatch`
as JSON. What cannot be done now is sent again for later; a message goes back only if something of Weir's own
fails.
"""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from batch.messages import hide, kept_hidden, parse_message
from batch.opening import open_means
from batch.settings import BatchSettings
from shared.aws.batch import process_batch
from shared.aws.queues import Queue
from shared.batch.advancing import handle as handle_message
from shared.batch.means import Means
from shared.telemetry import MetricUnit, logger, metrics

# What a run still takes when its last line is answered.
_RESERVE_SECONDS = 30

# Messages worked on at a time: all of a batch. How many lines are asked at a time is bounded in `Means`.
_MESSAGES = 10

_settings = BatchSettings()
_log = logger("batch", _settings.log_level)
_metrics = metrics("batch")
_queue = Queue(_settings.batch_queue_url)
_loop = asyncio.new_event_loop()
_resources = AsyncExitStack()


@_metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Work through the messages; answers those that go back to the queue."""
    lease = _settings.batch_lease_seconds
    receipts = [record["receiptHandle"] for record in event["Records"]]
    # Before anything else: a worker that dies now would hide them for a long time.
    _loop.run_until_complete(hide(_queue, receipts, lease, _log))
    means = _means()
    needed_ms = (_settings.request_seconds + _RESERVE_SECONDS) * 1000

    def has_time() -> bool:
        return context.get_remaining_time_in_millis() > needed_ms

    async def work(record: SQSRecord) -> None:
        try:
            message = parse_message(record.body)
            async with kept_hidden(_queue, record.receipt_handle, lease, _log):
                await handle_message(means, message, has_time)
        except Exception:
            _log.exception("message goes back", extra={"message_id": record.message_id})
            raise

    _metrics.add_metric("MessagesReceived", MetricUnit.Count, len(event["Records"]))
    return process_batch(event, work, loop=_loop, concurrency=_MESSAGES)


@cache
def _means() -> Means:
    opening = open_means(_settings, lambda: datetime.now(UTC), _log)
    return _loop.run_until_complete(_resources.enter_async_context(opening))
