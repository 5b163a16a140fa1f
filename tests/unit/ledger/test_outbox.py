"""Usage records reach the queue once, whatever fails meanwhile."""

import asyncio
from collections.abc import Sequence

import pytest
from pydantic import BaseModel

from shared.ledger.outbox import UsageOutbox
from shared.ledger.usage import UsageBatch, UsageRecord
from shared.telemetry import logger
from tests.unit.ledger.test_usage import FIELDS


class FlakyQueue:
    """Takes messages when `open` is set, one after another; refuses the first `failures` of them."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.open = asyncio.Event()
        self.open.set()
        self.sent: list[str] = []

    async def send(self, messages: Sequence[BaseModel]) -> None:
        await self.open.wait()
        if self.failures:
            self.failures -= 1
            raise ConnectionError("no queue")
        for message in messages:
            assert isinstance(message, UsageBatch)
            self.sent += [record.request_id for record in message.records]


def record(name: str) -> UsageRecord:
    return UsageRecord.model_validate({**FIELDS, "request_id": name})


def outbox(queue: FlakyQueue, delivery: str) -> UsageOutbox:
    return UsageOutbox(queue, delivery, logger("test"))  # type: ignore[arg-type]


async def test_inline_a_record_is_there_when_put_returns() -> None:
    queue = FlakyQueue()

    await outbox(queue, "inline").put(record("a"))

    assert queue.sent == ["a"]


async def test_records_of_concurrent_answers_are_sent_once_each() -> None:
    queue = FlakyQueue()
    queue.open.clear()
    box = outbox(queue, "inline")
    puts = [asyncio.create_task(box.put(record(str(n)))) for n in range(5)]
    await asyncio.sleep(0)
    queue.open.set()
    await asyncio.gather(*puts)

    assert sorted(queue.sent) == ["0", "1", "2", "3", "4"]


async def test_a_record_that_could_not_be_sent_goes_with_the_next_and_is_logged_whole(
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = FlakyQueue(failures=1)
    box = outbox(queue, "inline")

    await box.put(record("a"))
    assert queue.sent == []
    assert [vars(r)["record"]["request_id"] for r in caplog.records if hasattr(r, "record")] == ["a"]
    await box.put(record("b"))

    assert queue.sent == ["a", "b"]


async def test_closing_sends_what_is_left() -> None:
    queue = FlakyQueue()
    box = outbox(queue, "background")
    for name in ("a", "b"):
        await box.put(record(name))

    await box.close()

    assert queue.sent == ["a", "b"]


async def test_closing_without_a_queue_leaves_the_records_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    box = outbox(FlakyQueue(failures=9), "background")
    await box.put(record("a"))

    await box.close()

    assert [vars(r)["record"]["request_id"] for r in caplog.records if hasattr(r, "record")] == ["a"]
