"""SQS: one URL -> fetched, cleaned, kept as a file that ingestion reads, its links queued in turn.

Event: `{"Records": [{"messageId", "body": ScrapeMessage as JSON}]}`. A message that fails goes back alone,
and to the dead-letter queue after its tries; a page that cannot be had is no such failure: its row says why.
"""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from scraping.connections import open_worker
from scraping.settings import ScrapingSettings
from scraping.worker import Worker
from shared.aws.batch import process_batch
from shared.telemetry import MetricUnit, logger, metrics
from shared.web.messages import parse_message

# Most of the time of a page is waiting; what takes the processor is done in threads.
_AT_ONCE = 10

_settings = ScrapingSettings()
_log = logger("scraping", _settings.log_level)
_metrics = metrics("scraping")
_loop = asyncio.new_event_loop()
_resources = AsyncExitStack()


@_metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Fetch the pages of one batch; answers the messages that go back to the queue."""
    worker = _worker()

    async def fetch(record: SQSRecord) -> None:
        try:
            await worker.handle(parse_message(record.body))
        except Exception:
            _log.exception("message goes back", extra={"message_id": record.message_id})
            raise

    _metrics.add_metric("PagesReceived", MetricUnit.Count, len(event["Records"]))
    return process_batch(event, fetch, loop=_loop, concurrency=_AT_ONCE)


@cache
def _worker() -> Worker:
    opening = open_worker(_settings, now=lambda: datetime.now(UTC), log=_log, metrics=_metrics)
    return _loop.run_until_complete(_resources.enter_async_context(opening))
