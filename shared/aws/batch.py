"""Runs an SQS batch through one async function, with partial batch failures."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aws_lambda_powertools.utilities.batch import AsyncBatchProcessor, EventType
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord


def process_batch(
    event: dict[str, Any],
    record_handler: Callable[[SQSRecord], Awaitable[None]],
    *,
    loop: asyncio.AbstractEventLoop,
    concurrency: int = 4,
) -> PartialItemFailureResponse:
    """Handle every record; those that raised go back to the queue, the rest are done.

    Args:
        loop: The one that the function's connections belong to; it must not be running.
        concurrency: Records handled at a time.
    """
    places = asyncio.Semaphore(concurrency)

    async def bounded(record: SQSRecord) -> None:
        async with places:
            await record_handler(record)

    processor = _Processor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    with processor(event["Records"], bounded):
        loop.run_until_complete(processor.process_all())
    return processor.response()


class _Processor(AsyncBatchProcessor):
    """Powertools' own `async_process` takes a new loop for each batch outside Lambda."""

    async def process_all(self) -> None:
        await asyncio.gather(*(self._async_process_record(record) for record in self.records))
