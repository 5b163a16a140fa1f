"""Runs an SQS batch through one async function, with partial batch failures."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aws_lambda_powertools.utilities.batch import (
    AsyncBatchProcessor,
    EventType,
    async_process_partial_response,
)
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

    Powertools gathers a whole batch at once and on the current event loop, so the concurrency is bounded here
    and the loop is the one that the function's connections belong to.
    """
    asyncio.set_event_loop(loop)
    places = asyncio.Semaphore(concurrency)

    async def bounded(record: SQSRecord) -> None:
        async with places:
            await record_handler(record)

    return async_process_partial_response(
        event=event,
        record_handler=bounded,
        processor=AsyncBatchProcessor(
            event_type=EventType.SQS,
            raise_on_entire_batch_failure=False,
        ),
    )
