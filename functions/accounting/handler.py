"""SQS: usage records -> the ledger, once each, and metrics of those that are new.

Event: `{"Records": [{"messageId", "body": UsageBatch as JSON, ...}]}`. A malformed message fails alone, and
goes to the dead-letter queue after its tries; with the database gone, all go back.
"""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes import SQSEvent
from aws_lambda_powertools.utilities.typing import LambdaContext

from accounting.booking import Booking, book
from accounting.metrics import emit_usage
from accounting.settings import AccountingSettings
from shared.connections import open_database
from shared.postgres.database import Database
from shared.telemetry import MetricUnit, logger, metrics

_settings = AccountingSettings()
_log = logger("accounting", _settings.log_level)
_metrics = metrics("accounting")
_loop = asyncio.new_event_loop()
_resources = AsyncExitStack()


@_metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Book one batch; answers the messages that go back to the queue."""
    bodies = {record.message_id: record.body for record in SQSEvent(event).records}
    booking = _loop.run_until_complete(book(_database(), bodies))
    _tell(booking)
    emit_usage(booking.new, datetime.now(UTC))
    return {"batchItemFailures": [{"itemIdentifier": failed} for failed in booking.failed]}


@cache
def _database() -> Database:
    return _loop.run_until_complete(_resources.enter_async_context(open_database(_settings)))


def _tell(booking: Booking) -> None:
    for message_id, reason in booking.malformed.items():
        _log.error("malformed usage record", extra={"message_id": message_id, "reason": reason})
    if booking.postponed:
        _log.warning("the database cannot be reached", extra={"postponed": len(booking.postponed)})
    _metrics.add_metric("UsageRecorded", MetricUnit.Count, len(booking.new))
    _metrics.add_metric("UsageRepeated", MetricUnit.Count, booking.repeated)
    _metrics.add_metric("UsageMalformed", MetricUnit.Count, len(booking.malformed))
    _metrics.add_metric("UsagePostponed", MetricUnit.Count, len(booking.postponed))
