"""From an SQS body to a message, and how a message stays with who works on it."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import TypeAdapter, ValidationError

from shared.aws.queues import Queue
from shared.batch.messages import Message
from shared.telemetry import Logger

_MESSAGE: TypeAdapter[Message] = TypeAdapter(Message)


class MalformedMessageError(Exception):
    """The message is of no known form, and never will be."""


def parse_message(body: str) -> Message:
    """The message in an SQS body.

    Raises:
        MalformedMessageError: It is none.
    """
    try:
        return _MESSAGE.validate_json(body)
    except ValidationError as error:
        places = sorted({".".join(map(str, item["loc"])) for item in error.errors()})
        raise MalformedMessageError(f"no message of batches: {', '.join(places)}") from None


async def hide(queue: Queue, receipt_handles: Iterable[str], seconds: int, log: Logger) -> None:
    """Have messages come back after `seconds`: the queue itself hides them for much longer."""
    await asyncio.gather(*(_hide(queue, handle, seconds, log) for handle in receipt_handles))


@asynccontextmanager
async def kept_hidden(queue: Queue, receipt_handle: str, seconds: int, log: Logger) -> AsyncIterator[None]:
    """Keep a message from others while it is worked on, and for `seconds` when its worker has died."""
    keeping = asyncio.create_task(_keep_hidden(queue, receipt_handle, seconds, log))
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])


async def _keep_hidden(queue: Queue, receipt_handle: str, seconds: int, log: Logger) -> None:
    while True:
        await asyncio.sleep(seconds / 3)
        await _hide(queue, receipt_handle, seconds, log)


async def _hide(queue: Queue, receipt_handle: str, seconds: int, log: Logger) -> None:
    try:
        await queue.hide(receipt_handle, seconds)
    except (ClientError, BotoCoreError) as error:
        # It may come a second time, which is no harm.
        log.warning("a message could not be kept hidden", extra={"reason": str(error)})
