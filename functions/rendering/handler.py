"""SQS: one URL that needs a browser -> rendered, and handed back to scraping.

Event: `{"Records": [{"messageId", "body": FetchPage as JSON}]}`. A message that fails goes back alone,
and to the dead-letter queue after its tries; a page that cannot be had is no such failure: its row says why.
"""

import asyncio
from contextlib import AsyncExitStack
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from rendering.connections import open_worker
from rendering.settings import RenderingSettings
from rendering.worker import RenderingWorker
from shared.aws.batch import process_batch
from shared.telemetry import MetricUnit, logger, metrics
from shared.web.messages import FetchPage

_settings = RenderingSettings()
_log = logger("rendering", _settings.log_level)
_metrics = metrics("rendering")
_loop = asyncio.new_event_loop()
_resources = AsyncExitStack()


@_metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Render the pages of one batch, one after the other; answers the messages that go back to the queue."""
    worker = _worker()

    async def render(record: SQSRecord) -> None:
        try:
            await worker.handle(FetchPage.model_validate_json(record.body))
        except Exception:
            _log.exception("message goes back", extra={"message_id": record.message_id})
            raise

    _metrics.add_metric("PagesToRender", MetricUnit.Count, len(event["Records"]))
    return process_batch(event, render, loop=_loop, concurrency=1)


@cache
def _worker() -> RenderingWorker:
    opening = open_worker(_settings, log=_log, metrics=_metrics)
    return _loop.run_until_complete(_resources.enter_async_context(opening))
