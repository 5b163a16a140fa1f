"""Vectors in their tables: one table per size, and in it the space of a store that each vector is of.

A vector is known by the digest of what it was made of, model and text. So the index is its own cache: what a
tenant has embedded is not embedded again, and what is deleted is nowhere else.
"""

import hashlib
from collections.abc import Sequence

from pgvector import HalfVector
from psycopg import sql

from shared.errors import UpstreamError
from shared.postgres.database import Connection

# Vector sizes that the schema has a table for.
DIMENSIONS = frozenset({256, 384, 512, 768, 1024, 1536, 2048, 3072})

BYTES_PER_NUMBER = 2

# Digests looked up by one statement.
_LOOKED_UP = 1000


class EmbeddingMismatchError(UpstreamError):
    """The vectors do not fit the store: wrong number, or wrong size."""

    code = "embedding_mismatch"


def embeddings_table(dimensions: int) -> sql.Identifier:
    """The table of vectors of this size.

    Raises:
        EmbeddingMismatchError: The schema has none.
    """
    if dimensions not in DIMENSIONS:
        raise EmbeddingMismatchError(f"Vectors of {dimensions} numbers are not supported.")
    return sql.Identifier(f"chunk_embeddings_{dimensions}")


def content_hash(model: str, text: str) -> bytes:
    """16 bytes that stand for what a vector was made of."""
    return hashlib.sha256(f"{model}\0{text}".encode()).digest()[:16]


async def known_vectors(
    connection: Connection, tenant_id: str, dimensions: int, hashes: Sequence[bytes]
) -> dict[bytes, HalfVector]:
    """Those of the vectors that the tenant has, in whichever store, by their digest."""
    statement = sql.SQL(
        "SELECT DISTINCT ON (content_hash) content_hash, embedding FROM {}"
        " WHERE tenant_id = %s AND content_hash = ANY(%s)"
    ).format(embeddings_table(dimensions))
    found: dict[bytes, HalfVector] = {}
    unique = list(dict.fromkeys(hashes))
    for start in range(0, len(unique), _LOOKED_UP):
        cursor = await connection.execute(
            statement, (tenant_id, unique[start : start + _LOOKED_UP]), binary=True
        )
        found |= {row["content_hash"]: row["embedding"] for row in await cursor.fetchall()}
    return found


def half(vector: Sequence[float] | HalfVector) -> HalfVector:
    """A vector as it is stored."""
    return vector if isinstance(vector, HalfVector) else HalfVector(list(vector))
