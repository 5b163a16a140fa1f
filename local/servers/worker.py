"""Feeds one queue to one function: `python -m local.servers.worker FUNCTION QUEUE_URL`.

Stands in for an SQS event source mapping: batches of ten, partial batch failures, and what failed comes back
after a while that doubles with each delivery, until the queue's redrive policy moves it to the dead letters.
"""

import asyncio
import signal
import sys
import time
import traceback
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from botocore.exceptions import ClientError

from local.events import failed_messages, sqs_event
from local.lambda_function import TAKES_EVENTS, Handler, LambdaContext, leave, load
from shared.aws.clients import client

_BATCH = 10

# Seconds that one look at an empty queue takes: also how long a stop may have to wait.
_WAIT = 1

# Seconds that a batch may still take after SIGTERM, before it is cancelled and its messages are given back.
_LAST_BATCH = 1

# Seconds that its tasks then have to let go of what they hold, such as the lease of a job.
_LET_GO = 4

# Seconds until a failed message comes back: this, doubled by each delivery.
_BACKOFF, _LONGEST_BACKOFF = 2, 60

# Seconds until SQS is asked again after it did not answer.
_PAUSE = 1.0

Message = Mapping[str, Any]


class _AbandonedError(BaseException):
    """Raised inside a handler without event loop. No Exception, so that no handler swallows it."""


class Worker:
    """One queue, one function, one batch at a time."""

    def __init__(self, name: str, queue_url: str, handler: Handler) -> None:
        self._name = name
        self._queue_url = queue_url
        self._handler = handler
        self._sqs = client("sqs")
        self._arn = self._sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
        self._stopping = False
        self._cancelled: asyncio.AbstractEventLoop | None = None

    def stop(self, *_: object) -> None:
        """Take no further batch, and cancel the current one after `_LAST_BATCH` seconds."""
        self._stopping = True
        signal.alarm(_LAST_BATCH)

    def cancel(self, *_: object) -> None:
        """Cancel what the handler's event loop runs, so that it can let go of what it holds."""
        try:
            self._cancelled = asyncio.get_running_loop()
        except RuntimeError:
            raise _AbandonedError from None
        for task in asyncio.all_tasks(self._cancelled):
            self._cancelled.call_soon_threadsafe(task.cancel)

    def run(self) -> None:
        """Work until stopped."""
        while not self._stopping:
            try:
                messages = self._receive()
            except Exception:
                traceback.print_exc()
                time.sleep(_PAUSE)
                continue
            if messages:
                self._work(messages)

    def _receive(self) -> list[Message]:
        answer = self._sqs.receive_message(
            QueueUrl=self._queue_url,
            MaxNumberOfMessages=_BATCH,
            WaitTimeSeconds=_WAIT,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return list(answer.get("Messages", []))

    def _work(self, messages: list[Message]) -> None:
        event = sqs_event(messages, self._arn["Attributes"]["QueueArn"])
        try:
            failed = failed_messages(self._handler(event, LambdaContext(self._name)), messages)
        except (_AbandonedError, asyncio.CancelledError):
            self._abandon(messages)
        except Exception:
            traceback.print_exc()
            failed = {message["MessageId"] for message in messages}
        self._settle(messages, failed)

    def _abandon(self, messages: Iterable[Message]) -> NoReturn:
        # A handler that gathers its tasks returns when the first of them is cancelled.
        if self._cancelled and (tasks := asyncio.all_tasks(self._cancelled)):
            self._cancelled.run_until_complete(asyncio.wait(tasks, timeout=_LET_GO))
        for message in messages:
            self._give_back(message, seconds=0)
        leave()

    def _settle(self, messages: Iterable[Message], failed: set[str]) -> None:
        done = [
            {"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]}
            for place, message in enumerate(messages)
            if message["MessageId"] not in failed
        ]
        if done:
            # A message that is another's now, because this function was late, stays; that is no error here.
            self._sqs.delete_message_batch(QueueUrl=self._queue_url, Entries=done)
        for message in messages:
            if message["MessageId"] not in failed:
                continue
            deliveries = int(message["Attributes"]["ApproximateReceiveCount"])
            try:
                self._give_back(message, seconds=min(_BACKOFF**deliveries, _LONGEST_BACKOFF))
            except ClientError as error:
                # A function that hides its messages for a short while only may be late: it is another's now.
                sys.stderr.write(f"a message could not be settled: {error}\n")

    def _give_back(self, message: Message, *, seconds: int) -> None:
        self._sqs.change_message_visibility(
            QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=seconds
        )


def main(name: str, queue_url: str) -> None:
    """Work until SIGTERM."""
    worker = Worker(name, queue_url, load(name))
    signal.signal(signal.SIGALRM, worker.cancel)
    signal.signal(signal.SIGTERM, worker.stop)
    sys.stdout.write(f"{name} {TAKES_EVENTS}\n")
    sys.stdout.flush()
    worker.run()
    leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
