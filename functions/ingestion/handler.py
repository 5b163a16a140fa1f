"""SQS: a stored object -> parsed, cleaned, chunked, embedded, searchable.

Event: `{"Records": [{"messageId", "body", ...}]}`, each body an event of S3 or an `IngestFile` as JSON. A
message that fails goes back alone, and to the dead-letter queue after its tries; a file that cannot be read
is no such failure: its job says why.
"""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from ingestion.connections import open_worker
from ingestion.settings import IngestionSettings
from ingestion.worker import Worker
from shared.aws.batch import process_batch
from shared.knowledge.means import JobBusyError
from shared.telemetry import MetricUnit, logger, metrics

_settings = IngestionSettings()
_log = logger("ingestion", _settings.log_level)
_metrics = metrics("ingestion")
_loop = asyncio.new_event_loop()
_resources = AsyncExitStack()


@_metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Work through one batch; answers the messages that go back to the queue."""
    worker = _worker()

    async def work(record: SQSRecord) -> None:
        try:
            await worker.handle(record.body)
        except JobBusyError as busy:
            _log.info("message goes back", extra={"message_id": record.message_id, "reason": str(busy)})
            raise
        except Exception:
            _log.exception("message goes back", extra={"message_id": record.message_id})
            raise

    _metrics.add_metric("MessagesReceived", MetricUnit.Count, len(event["Records"]))
    return process_batch(event, work, loop=_loop)


@cache
def _worker() -> Worker:
    opening = open_worker(_settings, clock=lambda: datetime.now(UTC), log=_log, metrics=_metrics)
    return _loop.run_until_complete(_resources.enter_async_context(opening))
