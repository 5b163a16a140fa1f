"""Sending to an SQS queue. Messages are pydantic models, so that sender and worker share one type."""

from collections.abc import Sequence

from pydantic import BaseModel

from shared.aws.clients import call, client

# SendMessageBatch takes ten messages a call.
_BATCH = 10


class QueueError(Exception):
    """SQS did not take part of a batch; the message says why."""


class Queue:
    """One SQS queue."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def send(self, messages: Sequence[BaseModel], *, delay_seconds: int = 0) -> None:
        """Send all messages, ten a call.

        Raises:
            QueueError: SQS did not take one of them; those of earlier calls are sent.
        """
        for start in range(0, len(messages), _BATCH):
            entries = [
                {"Id": str(i), "MessageBody": message.model_dump_json(), "DelaySeconds": delay_seconds}
                for i, message in enumerate(messages[start : start + _BATCH])
            ]
            answer = await call(client("sqs").send_message_batch, QueueUrl=self.url, Entries=entries)
            if failed := answer.get("Failed"):
                raise QueueError(f"{len(failed)} messages not sent: {failed[0]['Message']}")

    async def hide(self, receipt_handle: str, seconds: int) -> None:
        """Keep a message that was received from others for so many seconds from now; 0 shows it at once."""
        await call(
            client("sqs").change_message_visibility,
            QueueUrl=self.url,
            ReceiptHandle=receipt_handle,
            VisibilityTimeout=seconds,
        )
