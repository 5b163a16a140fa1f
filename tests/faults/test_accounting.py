"""The ledger has each answered request exactly once, whatever dies on the way to it."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from shared.aws.clients import call, client
from tests.faults.accounts import all_booked, booked
from tests.faults.load import answered, failed
from tests.faults.waiting import until
from tests.integration.api_stack import bodies

_WORKERS = 2

# A message that comes for the fifth time in vain goes to the dead letters.
_KILLS = 4

# Nothing here is about Valkey.
pytestmark = pytest.mark.parametrize("valkey_server", ["plain"], indirect=True)


@pytest.fixture
async def short_visibility(aws, queues) -> None:
    """What a dead worker had in hand comes back after two seconds."""
    attributes = {"VisibilityTimeout": "2"}
    await call(client("sqs").set_queue_attributes, QueueUrl=queues.usage, Attributes=attributes)


async def test_the_worker_is_killed_again_and_again(
    start_loads, short_visibility, accounting, database, tenant_id
) -> None:
    async def more_than(before: list[str]) -> bool:
        return len(await booked(database, tenant_id)) > len(before)

    async with AsyncExitStack() as stack:
        loads = await start_loads(stack, _WORKERS, usage_delivery="background")
        for _ in range(_KILLS):
            before = await booked(database, tenant_id)
            # In the moment in which a batch is booked and, as likely as not, still in the queue.
            await until(lambda before=before: more_than(before))
            await accounting.kill()
            await asyncio.gather(*(load.more(20) for load in loads))
            await accounting.start()

    assert failed(loads) == []
    assert await all_booked(database, tenant_id, answered(loads)) == answered(loads)


async def test_every_message_is_delivered_three_times(
    start_loads, queues, idle_accounting, database, tenant_id
) -> None:
    async with AsyncExitStack() as stack:
        loads = await start_loads(stack, _WORKERS, usage_delivery="background")
    # A process that ends sends what it has.
    await asyncio.gather(*(load.process.child.stop(grace=8) for load in loads))
    messages = await bodies(queues.usage)
    for body in (*messages, *reversed(messages), *messages):
        await call(client("sqs").send_message, QueueUrl=queues.usage, MessageBody=body)
    await idle_accounting.start()

    rows = await all_booked(database, tenant_id, answered(loads))

    assert messages
    assert rows == answered(loads)
    # Nor does the rest of the queue change anything.
    await idle_accounting.until_empty(queues.usage)
    assert await booked(database, tenant_id) == rows


async def test_a_chat_process_is_killed(start_loads, accounting, database, tenant_id) -> None:
    async with AsyncExitStack() as stack:
        # As in Lambda: a record is in the queue before its answer ends.
        loads = await start_loads(stack, _WORKERS, usage_delivery="inline")
        await loads[0].process.kill()
        await loads[1].more(50)

    whole = answered(loads)
    rows = await all_booked(database, tenant_id, whole)

    assert failed(loads) == []
    assert set(whole) <= set(rows)
    # Those that were billed, and whose answer had not yet reached its end when the process died.
    assert len(rows) - len(whole) <= _WORKERS
