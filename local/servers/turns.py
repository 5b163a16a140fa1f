"""Answers WebSocket turns, many at once: `python -m local.servers.turns`.

Stands in for as many Lambda environments as there are turns: one process has them all here.
"""

import asyncio
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from local.lambda_function import TAKES_EVENTS
from shared.aws.clients import call, client
from shared.telemetry import logger
from shared.websocket.turn import Turn
from turns.opening import open_worker
from turns.settings import TurnsSettings
from turns.visibility import hidden
from turns.worker import TurnBusyError, Worker

# Turns at once; the queue holds the others.
_AT_ONCE = 200

# Seconds until SQS is asked again after it did not answer, and that one look at an empty queue takes.
_PAUSE, _WAIT = 1.0, 5

_log = logger("turns")


async def serve() -> None:
    """Answer turns until cancelled; those under way are given back to the queue."""
    settings = TurnsSettings()
    async with (
        open_worker(settings, lambda: datetime.now(UTC), _log) as worker,
        asyncio.TaskGroup() as tasks,
    ):
        places = asyncio.Semaphore(_AT_ONCE)
        sys.stdout.write(f"turns {TAKES_EVENTS}\n")
        sys.stdout.flush()
        while True:
            for message in await _receive(settings):
                await places.acquire()
                turn = tasks.create_task(_answer(worker, settings, message))
                turn.add_done_callback(lambda _: places.release())


async def _receive(settings: TurnsSettings) -> list[Mapping[str, Any]]:
    try:
        answer = await call(
            client("sqs").receive_message,
            QueueUrl=settings.turns_queue_url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=_WAIT,
            # What is given to a process that has died meanwhile must come back soon too.
            VisibilityTimeout=settings.turn_lost_seconds,
        )
    except Exception:
        _log.exception("the queue does not answer")
        await asyncio.sleep(_PAUSE)
        return []
    return list(answer.get("Messages", []))


async def _answer(worker: Worker, settings: TurnsSettings, message: Mapping[str, Any]) -> None:
    queue_url, receipt = settings.turns_queue_url, message["ReceiptHandle"]
    try:
        async with hidden(queue_url, receipt, settings.turn_lost_seconds):
            await worker.handle(Turn.model_validate_json(message["Body"]))
        await call(client("sqs").delete_message, QueueUrl=queue_url, ReceiptHandle=receipt)
    except TurnBusyError as busy:
        _log.info("turn goes back", extra={"reason": str(busy)})
    except Exception:
        _log.exception("turn goes back")


async def _until_stopped() -> None:
    serving = asyncio.ensure_future(serve())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    await asyncio.wait([serving])
    if not serving.cancelled():
        serving.result()


if __name__ == "__main__":
    asyncio.run(_until_stopped())
