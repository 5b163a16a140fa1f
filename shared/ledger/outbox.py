"""Usage records on their way to the accounting queue.

`inline`: a record is sent before its answer ends, for Lambda, which freezes a process the moment an answer
ends. `background`: a task sends what gathers in `_GATHER` seconds as one message, so that no answer waits and
a call to SQS (some 5 ms of work) is not made for each; `close` sends what is left. Accounting can be far
behind or gone: the queue keeps the records.
"""

import asyncio
from typing import Literal

from shared.aws.queues import Queue
from shared.ledger.usage import UsageBatch, UsageRecord
from shared.telemetry import Logger

Delivery = Literal["inline", "background"]

# Records of one message, which holds 1 MiB: some 600 bytes each, and 200 a leg, of which no request has many.
_BATCH = 250

_GATHER = 0.1

# Records held while the queue cannot be reached; beyond it the oldest go to the log.
_CAPACITY = 10_000

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0


class UsageOutbox:
    """Takes each request's record and sees it to the queue."""

    def __init__(self, queue: Queue, delivery: Delivery, log: Logger) -> None:
        self._queue = queue
        self._delivery = delivery
        self._log = log
        self._pending: list[UsageRecord] = []
        self._sender: asyncio.Task[None] | None = None
        # One send at a time: two would send, and then drop, records of each other.
        self._sending = asyncio.Lock()

    async def put(self, record: UsageRecord) -> None:
        """Accept a record. Never raises: what cannot be sent goes to the log whole, for later replay."""
        self._pending.append(record)
        if self._delivery == "inline":
            if not await self._send_once():
                # It is tried again with the next record, which may never come.
                self._log_whole(record)
        elif self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send_all())

    async def close(self) -> None:
        """Send what is left, once; what still cannot be sent goes to the log."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.wait([self._sender])
        if self._pending:
            await self._send_once()
        self._give_up(len(self._pending))

    async def _send_all(self) -> None:
        pause = _FIRST_PAUSE
        while self._pending:
            await asyncio.sleep(_GATHER)
            if await self._send_once():
                pause = _FIRST_PAUSE
            else:
                self._give_up(len(self._pending) - _CAPACITY)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def _send_once(self) -> bool:
        async with self._sending:
            batch = tuple(self._pending[:_BATCH])
            try:
                if batch:
                    await self._queue.send([UsageBatch(records=batch)])
            except Exception:
                # Whatever keeps SQS from taking records, the answer they belong to is already given.
                self._log.exception("usage records not sent yet", extra={"waiting": len(self._pending)})
                return False
            del self._pending[: len(batch)]
        return True

    def _give_up(self, count: int) -> None:
        for record in self._pending[: max(0, count)]:
            self._log_whole(record)
        del self._pending[: max(0, count)]

    def _log_whole(self, record: UsageRecord) -> None:
        self._log.error("usage record not sent", extra={"record": record.model_dump(mode="json")})
