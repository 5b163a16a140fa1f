"""The rows of the semantic cache: entries by meaning, judged uses, tallies.

Every function but `delete_expired` runs in a transaction of the tenant, and names the tenant besides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pgvector import HalfVector
from psycopg import sql
from psycopg.types.json import Jsonb

from shared.cache.entry import Entry
from shared.cache.semantic_confidence import REMEMBERED, Tally, Use, class_of
from shared.cache.semantic_question import Turn
from shared.postgres.database import Connection, Database

# Vector sizes that the schema has a table for.
DIMENSIONS = frozenset({256, 384, 512, 768, 1024, 1536, 2048, 3072})

# Below so many entries of a scope every vector is compared, which misses nothing; from there on the index is
# asked.
EXACT_BELOW = 2000

_NEAREST = 8


@dataclass(frozen=True, kw_only=True)
class StoredQuestion:
    """An entry near to a question: its turns, the cosine, its answer and its judged uses."""

    entry_id: str
    turns: tuple[Turn, ...]
    similarity: float
    entry: Entry
    uses: tuple[Use, ...]


async def find_nearest(
    connection: Connection, tenant_id: str, scope: str, vector: Sequence[float], *, now: datetime
) -> list[StoredQuestion]:
    """The nearest entries of a scope that have not expired, nearest first."""
    if await _holds_many(connection, tenant_id, scope):
        distance = sql.SQL("embedding <=> %(vector)b")
        # A filtered HNSW scan ends early and says nothing; this goes on until there are enough rows.
        await connection.execute("SET LOCAL hnsw.iterative_scan = relaxed_order")
    else:
        # Not the index's own expression, so that all rows of the scope are compared.
        distance = sql.SQL("(embedding <=> %(vector)b) + 0")
    cursor = await connection.execute(
        sql.SQL(_NEAREST_ENTRIES).format(table=embeddings_table(len(vector)), distance=distance),
        {
            "tenant_id": tenant_id,
            "scope": scope,
            "vector": HalfVector(list(vector)),
            "now": now,
            "wanted": _NEAREST,
        },
    )
    return [
        StoredQuestion(
            entry_id=row["entry_id"],
            turns=tuple((role, text) for role, text in row["turns"]),
            similarity=1 - row["distance"],
            entry=Entry(
                completion=bytes(row["completion"]),
                provider=row["provider"],
                model=row["model"],
                stored_at=row["stored_at"],
            ),
            uses=tuple(
                Use(score, right)
                for score, right in zip(row["judged_scores"], row["judged_right"], strict=True)
            ),
        )
        for row in await cursor.fetchall()
    ]


_NEAREST_ENTRIES = """
    SELECT s.entry_id, s.turns, s.completion, s.provider, s.model, s.stored_at, s.judged_scores,
    s.judged_right,
           n.distance
    FROM (
        SELECT entry_id, {distance} AS distance FROM {table}
        WHERE tenant_id = %(tenant_id)s AND scope = %(scope)s ORDER BY {distance} LIMIT %(wanted)s
    ) n
    JOIN semantic_entries s ON s.tenant_id = %(tenant_id)s AND s.entry_id = n.entry_id
    WHERE s.expires_at > %(now)s
    ORDER BY n.distance"""


async def read_tally(connection: Connection, tenant_id: str, tally_id: str) -> Tally:
    """All judged uses that belong together."""
    cursor = await connection.execute(
        "SELECT right_uses, wrong_uses FROM semantic_tallies WHERE tenant_id = %s AND tally_id = %s",
        (tenant_id, tally_id),
    )
    row = await cursor.fetchone()
    return Tally(tuple(row["right_uses"]), tuple(row["wrong_uses"])) if row else Tally()


async def write_entry(
    connection: Connection,
    *,
    tenant_id: str,
    entry_id: str,
    scope: str,
    turns: Sequence[Turn],
    vector: Sequence[float],
    entry: Entry,
    ttl: timedelta,
) -> None:
    """Store an answer, in the stead of an older one to the same wording; what was judged of it stays."""
    await connection.execute(
        """
        INSERT INTO semantic_entries (tenant_id, entry_id, scope, turns, completion, provider, model,
        stored_at,
                                      expires_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT (tenant_id, entry_id) DO UPDATE SET
            turns = excluded.turns, completion = excluded.completion, provider = excluded.provider,
            model = excluded.model, stored_at = excluded.stored_at, expires_at = excluded.expires_at
        """,
        (
            tenant_id,
            entry_id,
            scope,
            Jsonb([list(turn) for turn in turns]),
            entry.completion,
            entry.provider,
            entry.model,
            entry.stored_at,
            entry.stored_at + ttl,
        ),
    )
    insert = sql.SQL(
        "INSERT INTO {} (tenant_id, entry_id, scope, embedding) VALUES (%s, %s, %s, %b)"
        " ON CONFLICT (tenant_id, entry_id) DO NOTHING"
    ).format(embeddings_table(len(vector)))
    await connection.execute(insert, (tenant_id, entry_id, scope, HalfVector(list(vector))))


async def write_use(
    connection: Connection, *, tenant_id: str, entry_id: str, tally_id: str, use: Use
) -> None:
    """Add a judged use to its entry, of which the newest are kept, and to the tally."""
    await connection.execute(
        """
        UPDATE semantic_entries SET
            judged_scores = (judged_scores || %(score)s::real)[greatest(1, cardinality(judged_scores) + 2 -
            %(kept)s):], judged_right = (judged_right || %(right)s::boolean)[greatest(1,
            cardinality(judged_right) + 2 - %(kept)s):]
        WHERE tenant_id = %(tenant_id)s AND entry_id = %(entry_id)s
        """,
        {
            "score": use.score,
            "right": use.right,
            "kept": REMEMBERED,
            "tenant_id": tenant_id,
            "entry_id": entry_id,
        },
    )
    place = class_of(use.score) + 1
    column = sql.Identifier("right_uses" if use.right else "wrong_uses")
    first = Tally().add(use.score, right=use.right)
    await connection.execute(
        sql.SQL(
            """
            INSERT INTO semantic_tallies AS t (tenant_id, tally_id, right_uses, wrong_uses)
            VALUES (%(tenant_id)s, %(tally_id)s, %(right)s, %(wrong)s)
            ON CONFLICT (tenant_id, tally_id) DO UPDATE SET
                {column} = t.{column}[:%(place)s - 1] || t.{column}[%(place)s] + 1
                    || t.{column}[%(place)s + 1:]
            """
        ).format(column=column),
        {
            "tenant_id": tenant_id,
            "tally_id": tally_id,
            "right": list(first.right),
            "wrong": list(first.wrong),
            "place": place,
        },
    )


async def delete_expired(database: Database, tenant_id: str, *, now: datetime, limit: int) -> int:
    """Delete at most `limit` entries whose time is over, and return how many. Two at once do no harm.

    Raises:
        UnavailableError: PostgreSQL cannot be reached.
    """
    async with database.tenant(tenant_id) as connection:
        cursor = await connection.execute(
            """
            DELETE FROM semantic_entries WHERE tenant_id = %(tenant_id)s AND entry_id = ANY (ARRAY(
                SELECT entry_id FROM semantic_entries
                WHERE tenant_id = %(tenant_id)s AND expires_at <= %(now)s
                ORDER BY expires_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
            """,
            {"tenant_id": tenant_id, "now": now, "limit": limit},
        )
        return cursor.rowcount


def embeddings_table(dimensions: int) -> sql.Identifier:
    """The table of vectors of this size, which is one of `DIMENSIONS`."""
    return sql.Identifier(f"semantic_embeddings_{dimensions}")


async def _holds_many(connection: Connection, tenant_id: str, scope: str) -> bool:
    cursor = await connection.execute(
        """
        SELECT count(*) AS entries FROM (
            SELECT FROM semantic_entries WHERE tenant_id = %s AND scope = %s LIMIT %s) counted
        """,
        (tenant_id, scope, EXACT_BELOW),
    )
    row = await cursor.fetchone()
    return row is not None and row["entries"] >= EXACT_BELOW
