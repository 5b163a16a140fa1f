"""Deleting a file leaves no trace: not in a store, not in the bucket."""

from shared.aws.objects import Objects
from shared.files.keys import file_prefix, text_key, text_prefix
from shared.files.records import delete_file as delete_record
from shared.files.records import lock_file
from shared.knowledge.store_files import detach_everywhere
from shared.postgres.database import Database

# Objects that S3 deletes by one call.
_BATCH = 1000


async def delete_file(database: Database, objects: Objects, *, tenant_id: str, file_id: str) -> None:
    """Delete a file: its chunks in every store, its record, then its objects.

    Objects go last, when the record is gone for good: what a failure leaves then is an orphan, which cleanup
    finds, and never a record without its bytes.

    Raises:
        NotFoundError: The tenant has no such file.
    """
    async with database.tenant(tenant_id) as connection:
        # First, as attaching does: in another order the two could wait for each other.
        await lock_file(connection, file_id)
        await detach_everywhere(connection, tenant_id=tenant_id, file_id=file_id)
        await delete_record(connection, file_id)
    await objects.delete(text_key(tenant_id, file_id))
    for prefix in (file_prefix(tenant_id, file_id), text_prefix(tenant_id, file_id)):
        stored = [item.key async for item in objects.keys(prefix)]
        for start in range(0, len(stored), _BATCH):
            await objects.delete(*stored[start : start + _BATCH])
