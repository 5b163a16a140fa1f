"""Objects in the bucket that no file's record stands for: left when a worker dies at the wrong moment."""

import re
from collections.abc import Sequence
from datetime import datetime

from shared.aws.objects import ObjectInfo, Objects
from shared.postgres.database import Database

# Keys that belong to a file, after the tenant: `files/<file>/<name>`, `texts/<file>.md` and, of a part,
# `texts/<file>/<digest>/<part>.md`.
_KEY = re.compile(r"(?:files/([^/]+)/[^/]+|texts/([^/]+?)(?:/[0-9a-f]{16}/\d+)?\.md)")

# The text of a part, in a bucket's key: of bytes that may not be the file's any more.
_PART = re.compile(r"/([0-9a-f]{16})/\d+\.md$")

# DeleteObjects takes as many keys at once.
_BATCH = 1000


async def delete_orphans(
    database: Database, objects: Objects, tenant_id: str, *, before: datetime, limit: int
) -> int:
    """Look at the tenant's next `limit` objects; delete those without a record, last written before `before`.

    The next run goes on where this one stops. Objects of kinds not known here stay.
    """
    seen = await _next_objects(database, objects, tenant_id, limit)
    old = [item.key for item in seen if item.modified < before]
    deleted = 0
    for start in range(0, len(old), _BATCH):
        orphans = await _without_record(database, tenant_id, old[start : start + _BATCH])
        await objects.delete(*orphans)
        deleted += len(orphans)
    await _go_on_after(database, tenant_id, seen[-1].key if len(seen) == limit else "")
    return deleted


async def _next_objects(database: Database, objects: Objects, tenant_id: str, limit: int) -> list[ObjectInfo]:
    async with database.tenant(tenant_id) as connection:
        cursor = await connection.execute("SELECT orphan_scan_after FROM tenants")
        row = await cursor.fetchone()
    seen: list[ObjectInfo] = []
    async for item in objects.keys(f"{tenant_id}/", after=row["orphan_scan_after"] if row else ""):
        seen.append(item)
        if len(seen) == limit:
            break
    return seen


async def _go_on_after(database: Database, tenant_id: str, key: str) -> None:
    async with database.tenant(tenant_id) as connection:
        await connection.execute("UPDATE tenants SET orphan_scan_after = %s", (key,))


async def _without_record(database: Database, tenant_id: str, keys: Sequence[str]) -> list[str]:
    owners = {key: owner for key in keys if (owner := owning_file(tenant_id, key)) is not None}
    async with database.tenant(tenant_id) as connection:
        cursor = await connection.execute(
            "SELECT file_id FROM files WHERE file_id = ANY(%s)", (list(set(owners.values())),)
        )
        known = {row["file_id"] for row in await cursor.fetchall()}
        cursor = await connection.execute(
            "SELECT DISTINCT file_id, left(content_sha256, 16) AS digest FROM ingestion_plans"
            " WHERE file_id = ANY(%s)",
            (list(known),),
        )
        read_in_parts = {(row["file_id"], row["digest"]) for row in await cursor.fetchall()}
    return [
        key
        for key, owner in owners.items()
        if owner not in known or ((digest := _digest(key)) and (owner, digest) not in read_in_parts)
    ]


def _digest(key: str) -> str | None:
    """What the text of a part was made of; `None` for other keys."""
    match = _PART.search(key)
    return None if match is None else match[1]


def owning_file(tenant_id: str, key: str) -> str | None:
    """The id of the file that a key of the tenant belongs to; `None` for a key of another kind."""
    match = _KEY.fullmatch(key.removeprefix(f"{tenant_id}/"))
    return None if match is None else match[1] or match[2]
