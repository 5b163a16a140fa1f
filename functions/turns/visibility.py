"""Keeps a turn's message out of sight while its worker lives, so that it comes back soon when it does not.

The queue itself hides a message for as long as a function may run, a quarter of an hour; nobody would wait so
long for the rest of an answer.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.aws.clients import call, client
from shared.telemetry import logger

_log = logger("turns")


@asynccontextmanager
async def hidden(queue_url: str, receipt_handle: str, seconds: int) -> AsyncIterator[None]:
    """Hide a message for as long as this lasts, and `seconds` more at most."""
    await _hide(queue_url, receipt_handle, seconds)
    hiding = asyncio.create_task(_keep_hidden(queue_url, receipt_handle, seconds))
    try:
        yield
    finally:
        hiding.cancel()
        await asyncio.wait([hiding])


async def _keep_hidden(queue_url: str, receipt_handle: str, seconds: int) -> None:
    while True:
        await asyncio.sleep(seconds / 3)
        await _hide(queue_url, receipt_handle, seconds)


async def _hide(queue_url: str, receipt_handle: str, seconds: int) -> None:
    try:
        await call(
            client("sqs").change_message_visibility,
            QueueUrl=queue_url,
            ReceiptHandle=receipt_handle,
            VisibilityTimeout=seconds,
        )
    except Exception:
        # The answer need not end for it: a turn that is delivered once more is answered once all the same.
        _log.exception("a message's visibility stays as it is")
