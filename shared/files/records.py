"""Records of files. Every function runs in a transaction of the file's tenant."""

from collections.abc import Sequence
from datetime import datetime

from psycopg.rows import DictRow

from shared.errors import NotFoundError
from shared.files.ids import new_id
from shared.files.keys import object_key
from shared.files.models import NewFile, Purpose, StoredFile
from shared.postgres.database import Connection
from shared.postgres.pages import Page, PageRequest, fetch_page

_CREATE = """
    INSERT INTO files (tenant_id, file_id, filename, purpose, media_type, bytes, object_key, status,
                       source_url, created_at, expires_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, 'pending', %s, %s, %s)
    ON CONFLICT (tenant_id, source_url) WHERE source_url IS NOT NULL
        DO UPDATE SET source_url = excluded.source_url
    RETURNING *"""


async def create_file(connection: Connection, new: NewFile, now: datetime) -> StoredFile:
    """A pending file. With a `source_url` that the tenant has already, the file it has.

    Put its bytes at `object_key`, then call `mark_uploaded`.
    """
    [file] = await create_files(connection, [new], now)
    return file


async def create_files(connection: Connection, new: Sequence[NewFile], now: datetime) -> list[StoredFile]:
    """Several at once, as `create_file`."""
    await _hold(connection, [file.source_url for file in new if file.source_url])
    # In one order everywhere, so that no two of these wait for each other's URLs.
    order = sorted(range(len(new)), key=lambda place: new[place].source_url or "")
    cursor = connection.cursor()
    await cursor.executemany(_CREATE, [_row(new[place], now) for place in order], returning=True)
    rows = [row async for result in cursor.results() async for row in result]
    created = dict(zip(order, map(_stored, rows), strict=True))
    return [created[place] for place in range(len(new))]


async def _hold(connection: Connection, source_urls: Sequence[str]) -> None:
    # In the order in which others attach several files, so that neither waits for the other.
    if source_urls:
        await connection.execute(
            "SELECT FROM files WHERE source_url = ANY (%s) ORDER BY file_id FOR NO KEY UPDATE", (source_urls,)
        )


async def get_file(connection: Connection, file_id: str) -> StoredFile:
    """One file.

    Raises:
        NotFoundError: The tenant has no such file.
    """
    cursor = await connection.execute("SELECT * FROM files WHERE file_id = %s", (file_id,))
    if (row := await cursor.fetchone()) is None:
        raise no_such_file(file_id)
    return _stored(row)


async def list_files(
    connection: Connection, request: PageRequest, *, purpose: Purpose | None = None
) -> Page[StoredFile]:
    """One page of the tenant's files, by age."""
    return await fetch_page(
        connection,
        "SELECT * FROM files WHERE (%(purpose)s::text IS NULL OR purpose = %(purpose)s)",
        id_column="file_id",
        request=request,
        parameters={"purpose": purpose},
        make=_stored,
    )


async def mark_uploaded(connection: Connection, file_id: str, bytes: int) -> StoredFile | None:
    """Note that the object is there, and its size. Harmless when repeated; `None` if the file is gone."""
    cursor = await connection.execute(
        "UPDATE files SET status = 'uploaded', bytes = %s WHERE file_id = %s RETURNING *", (bytes, file_id)
    )
    row = await cursor.fetchone()
    return None if row is None else _stored(row)


async def lock_file(connection: Connection, file_id: str) -> None:
    """Hold a file for this transaction. Whoever changes a file and its places in stores takes it first.

    Raises:
        NotFoundError: The tenant has no such file.
    """
    cursor = await connection.execute("SELECT 1 FROM files WHERE file_id = %s FOR UPDATE", (file_id,))
    if await cursor.fetchone() is None:
        raise no_such_file(file_id)


async def delete_file(connection: Connection, file_id: str) -> StoredFile | None:
    """Delete the record, and with it what hangs on it in every store; `None` if there was none.

    Objects stay, and the statistics of stores are not corrected: `shared.knowledge.deletion` does it all.
    """
    cursor = await connection.execute("DELETE FROM files WHERE file_id = %s RETURNING *", (file_id,))
    row = await cursor.fetchone()
    return None if row is None else _stored(row)


def no_such_file(file_id: str, *, param: str = "file_id") -> NotFoundError:
    """The error for a file that the tenant does not have."""
    return NotFoundError(f"No such file: {file_id!r}.", param=param)


def _row(new: NewFile, now: datetime) -> tuple[object, ...]:
    file_id = new_id("file-", now)
    return (
        new.tenant_id,
        file_id,
        new.filename,
        new.purpose,
        new.media_type,
        new.bytes,
        object_key(new.tenant_id, file_id, new.filename),
        new.source_url,
        now,
        new.expires_at,
    )


def _stored(row: DictRow) -> StoredFile:
    return StoredFile(
        tenant_id=row["tenant_id"],
        file_id=row["file_id"],
        filename=row["filename"],
        purpose=row["purpose"],
        media_type=row["media_type"],
        bytes=row["bytes"],
        object_key=row["object_key"],
        status=row["status"],
        source_url=row["source_url"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )
