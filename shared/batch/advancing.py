"""What comes next for a batch, whoever asks and however often."""

from datetime import datetime

from shared.batch import chunks, records, transitions
from shared.batch.finishing import finish
from shared.batch.means import Means
from shared.batch.messages import AdvanceBatch, Message, WorkChunk
from shared.batch.models import Batch
from shared.batch.splitting import split
from shared.batch.working import HasTime, work_chunk


async def handle(means: Means, message: Message, has_time: HasTime) -> None:
    """Do what a message asks for, and what follows from it."""
    if isinstance(message, WorkChunk):
        await work_chunk(means, message, has_time)
    await _advance(means, message.tenant_id, message.batch_id)


async def _advance(means: Means, tenant_id: str, batch_id: str) -> None:
    batch = await _find(means, tenant_id, batch_id)
    if batch is not None and batch.status == "validating":
        if not await split(means, batch):
            return await _look_again(means, batch, means.clock() + means.rules.lease)
        batch = await _find(means, tenant_id, batch_id)
    if batch is not None and batch.status == "in_progress":
        await _go_on(means, batch)
        batch = await _find(means, tenant_id, batch_id)
    if batch is not None and batch.status in ("finalizing", "cancelling"):
        await _finish(means, batch)
    return None


async def _find(means: Means, tenant_id: str, batch_id: str) -> Batch | None:
    async with means.database.tenant(tenant_id) as connection:
        return await records.find_batch(connection, batch_id)


async def _go_on(means: Means, batch: Batch) -> None:
    """Send the chunks whose turn it is, or begin to end."""
    now, batch_id = means.clock(), batch.batch_id
    async with means.database.tenant(batch.tenant_id) as connection:
        if await transitions.finalize(connection, batch_id, now):
            return
        due = await chunks.next_to_send(connection, batch_id, window=means.rules.window, now=now)
    await means.send(
        [WorkChunk(tenant_id=batch.tenant_id, batch_id=batch_id, chunk_number=number) for number in due]
    )


async def _finish(means: Means, batch: Batch) -> None:
    """Finish once nobody works on a chunk: what is under way is paid for, and kept."""
    async with means.database.tenant(batch.tenant_id) as connection:
        until = await chunks.last_lease(connection, batch.batch_id, means.clock())
    if until is not None:
        await _look_again(means, batch, until)
    elif not await finish(means, batch):
        await _look_again(means, batch, means.clock() + means.rules.lease)


async def _look_again(means: Means, batch: Batch, at: datetime) -> None:
    """Whoever has it now may die."""
    await means.send([AdvanceBatch(tenant_id=batch.tenant_id, batch_id=batch.batch_id)], at=at)
