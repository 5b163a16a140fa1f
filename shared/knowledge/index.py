"""Writes and removes what search reads of a file: chunks, vectors, and the store's BM25 statistics.

A file's chunks are of a version. A new version is written beside the live one, all at once or part by part,
and takes its place in one transaction; until then search passes over it.

Every function runs in the caller's transaction, and locks the store's row first: writers of one store follow
each other, statistics stay exact, and no two of them can wait for each other. Whoever changes several stores
in one transaction takes them in the order of their ids.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import ConflictError
from shared.knowledge.chunk import Chunk
from shared.knowledge.rows import Place, Vector, chunk_rows, insert_chunks, insert_vectors
from shared.knowledge.statistics import COUNTED, Counted, count_in, count_out
from shared.knowledge.stores import no_such_store
from shared.knowledge.vectors import BYTES_PER_NUMBER, EmbeddingMismatchError
from shared.postgres.database import Connection


class ModelChangedError(ConflictError):
    """The store changed its embedding model while the vectors were made. Make them anew."""

    code = "embedding_model_changed"


@dataclass(frozen=True)
class Written:
    """What a file takes in its store: chunks, and bytes of their text and vectors."""

    chunk_count: int
    usage_bytes: int


@dataclass(frozen=True, kw_only=True)
class LockedStore:
    """A store that nobody else writes to until the transaction ends. `space` is that of its vectors."""

    embedding_model: str
    dimensions: int
    space: int


async def lock_store(connection: Connection, tenant_id: str, vector_store_id: str) -> LockedStore | None:
    """Hold a store and count its change, if it is there. Files can be attached to it meanwhile."""
    cursor = await connection.execute(
        """
        UPDATE vector_stores SET revision = revision + 1
        WHERE tenant_id = %s AND vector_store_id = %s
        RETURNING embedding_model, dimensions, space
        """,
        (tenant_id, vector_store_id),
    )
    row = await cursor.fetchone()
    return None if row is None else LockedStore(**row)


async def replace_chunks(
    connection: Connection,
    *,
    tenant_id: str,
    vector_store_id: str,
    file_id: str,
    chunks: Sequence[Chunk],
    embeddings: Sequence[Vector],
    embedding_model: str,
) -> Written:
    """Make these the chunks of a file that is in the store, instead of any it had. Harmless when repeated.

    Args:
        embeddings: One vector per chunk, of the store's size.
        embedding_model: What made them.

    Raises:
        NotFoundError: The tenant has no such store.
        EmbeddingMismatchError: The vectors do not fit.
        ModelChangedError: They are not of the store's model any more.
    """
    key = (tenant_id, vector_store_id, file_id)
    await _store(connection, tenant_id, vector_store_id)
    await _remove(connection, key)
    version = await _next_version(connection, key)
    place = Place(tenant_id=tenant_id, vector_store_id=vector_store_id, file_id=file_id, version=version)
    written = await write_part(connection, place, chunks, embeddings, embedding_model=embedding_model)
    await _publish(connection, key, version)
    return written


async def write_part(
    connection: Connection,
    place: Place,
    chunks: Sequence[Chunk],
    embeddings: Sequence[Vector],
    *,
    embedding_model: str,
) -> Written:
    """Write the chunks of one part of a version, instead of any it had.

    Raises:
        NotFoundError: The tenant has no such store.
        EmbeddingMismatchError: The vectors do not fit.
        ModelChangedError: They are not of the store's model any more.
    """
    rows = await asyncio.to_thread(chunk_rows, place, chunks)
    store = await _store(connection, place.tenant_id, place.vector_store_id)
    if store.embedding_model != embedding_model:
        raise ModelChangedError("The store's embedding model changed while the file was embedded.")
    if len(embeddings) != len(chunks) or any(_size(vector) != store.dimensions for vector in embeddings):
        raise EmbeddingMismatchError(f"The store needs {len(chunks)} vectors of {store.dimensions} numbers.")
    part = _of_part(place)
    await _delete(connection, part)
    await insert_chunks(connection, rows)
    await insert_vectors(
        connection,
        place,
        chunks,
        embeddings,
        model=store.embedding_model,
        dimensions=store.dimensions,
        space=store.space,
    )
    await count_in(connection, part)
    text_bytes = sum(len(chunk.text.encode()) for chunk in chunks)
    return Written(len(chunks), text_bytes + len(chunks) * store.dimensions * BYTES_PER_NUMBER)


async def stage_version(connection: Connection, *, tenant_id: str, vector_store_id: str, file_id: str) -> int:
    """Begin a new version of a file that is in the store, in place of one that was begun and not published.

    Raises:
        NotFoundError: The tenant has no such store.
    """
    key = (tenant_id, vector_store_id, file_id)
    await _store(connection, tenant_id, vector_store_id)
    await _remove_staged(connection, key)
    version = await _next_version(connection, key)
    await connection.execute(_STAGE, (version, *key))
    return version


async def publish_version(connection: Connection, place: Place) -> None:
    """Make a staged version the live one, and remove all others.

    Raises:
        NotFoundError: The tenant has no such store.
    """
    key = (place.tenant_id, place.vector_store_id, place.file_id)
    await _store(connection, place.tenant_id, place.vector_store_id)
    await _delete(connection, _of_key(key, but_version=place.version))
    await connection.execute(_DELETE_PLANS + " AND f.version <> %s", (*key, place.version))
    await _publish(connection, key, place.version)


async def remove_staged(
    connection: Connection, *, tenant_id: str, vector_store_id: str, file_id: str
) -> None:
    """Remove the version of a file that was begun and not published, if there is one."""
    if await lock_store(connection, tenant_id, vector_store_id) is not None:
        await _remove_staged(connection, (tenant_id, vector_store_id, file_id))


async def remove_file(connection: Connection, *, tenant_id: str, vector_store_id: str, file_id: str) -> None:
    """Remove every chunk and vector of a file from a store, and its part of the statistics, if it has any."""
    if await lock_store(connection, tenant_id, vector_store_id) is not None:
        await _remove(connection, (tenant_id, vector_store_id, file_id))


_Key = tuple[str, str, str]

_OF_FILE = " WHERE f.tenant_id = %s AND f.vector_store_id = %s AND f.file_id = %s"
_READ_STAGED = f"SELECT f.staged_version FROM vector_store_files f {_OF_FILE}"  # noqa: S608
_BEGIN_VERSION = f"""
    UPDATE vector_store_files f SET versions_begun = f.versions_begun + 1 {_OF_FILE}
    RETURNING f.versions_begun"""  # noqa: S608
_STAGE = f"UPDATE vector_store_files f SET staged_version = %s {_OF_FILE}"  # noqa: S608
_PUBLISH = f"""
    UPDATE vector_store_files f SET live_version = %s, staged_version = NULL {_OF_FILE}"""  # noqa: S608
_DELETE_PLANS = f"DELETE FROM ingestion_plans f {_OF_FILE}"  # noqa: S608


async def _store(connection: Connection, tenant_id: str, vector_store_id: str) -> LockedStore:
    if (store := await lock_store(connection, tenant_id, vector_store_id)) is None:
        raise no_such_store(vector_store_id)
    return store


async def _remove(connection: Connection, key: _Key) -> None:
    await _delete(connection, _of_key(key))
    await connection.execute(_DELETE_PLANS, key)


async def _remove_staged(connection: Connection, key: _Key) -> None:
    cursor = await connection.execute(_READ_STAGED, key)
    row = await cursor.fetchone()
    if row is None or row["staged_version"] is None:
        return
    await _delete(connection, _of_key(key, version=row["staged_version"]))
    await connection.execute(_DELETE_PLANS + " AND f.version = %s", (*key, row["staged_version"]))
    await connection.execute(_STAGE, (None, *key))


async def _delete(connection: Connection, chunks: Counted) -> None:
    await count_out(connection, chunks)
    # The vectors go with them, by the foreign key.
    await connection.execute(f"DELETE FROM chunks c WHERE {COUNTED}", vars(chunks))  # noqa: S608


async def _next_version(connection: Connection, key: _Key) -> int:
    """A number that no chunk of the file has had: what was found under a number never changes."""
    cursor = await connection.execute(_BEGIN_VERSION, key)
    row = await cursor.fetchone()
    return 1 if row is None else int(row["versions_begun"])


async def _publish(connection: Connection, key: _Key, version: int) -> None:
    await connection.execute(_PUBLISH, (version, *key))


def _of_key(key: _Key, *, version: int | None = None, but_version: int | None = None) -> Counted:
    tenant_id, vector_store_id, file_id = key
    return Counted(
        tenant_id=tenant_id,
        vector_store_id=vector_store_id,
        file_id=file_id,
        version=version,
        but_version=but_version,
    )


def _of_part(place: Place) -> Counted:
    return Counted(
        tenant_id=place.tenant_id,
        vector_store_id=place.vector_store_id,
        file_id=place.file_id,
        version=place.version,
        first=place.first_ordinal,
        last=place.last_ordinal,
    )


def _size(vector: Vector) -> int:
    return len(vector) if isinstance(vector, Sequence) else vector.dimensions()
