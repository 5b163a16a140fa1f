"""How pages end: what they came to, written to their rows, and which page each is nearly the same as.

Each function runs in a transaction of the tenant that holds the row of the scrape.
"""

from collections.abc import Sequence

from psycopg.types.json import Jsonb

from shared.postgres.database import Connection
from shared.web.scrape_models import PageEnd
from shared.web.simhash import NEAR_DUPLICATE_BITS, quarters

# Two hashes that differ in so few bits have a quarter in common, by which an index finds them: each its own,
# because of one condition with OR the planner makes a look at every page as long as it has no statistics.
_NEAR = " UNION ALL ".join(
    f"""
            SELECT url, depth, simhash FROM scrape_pages
            WHERE scrape_id = %(scrape_id)s AND simhash_{place} = %(simhash_{place})s"""  # noqa: S608 - a constant
    for place in range(4)
)
_END = f"""
    UPDATE scrape_pages
    SET status = %(status)s, title = %(title)s, file_id = %(file_id)s, error_message = %(reason)s,
        change = %(change)s, rendering = %(rendering)s, bytes = %(bytes)s, records = %(records)s,
        simhash = %(simhash)s, simhash_0 = %(simhash_0)s, simhash_1 = %(simhash_1)s,
        simhash_2 = %(simhash_2)s, simhash_3 = %(simhash_3)s, rendered = NULL, lease_until = NULL,
        updated_at = now(), similar_to = (
            SELECT near.url FROM ({_NEAR}) near
            WHERE near.url <> %(url)s AND bit_count((near.simhash # %(simhash)s)::bit(64)) <= %(bits)s
            ORDER BY near.depth, near.url LIMIT 1)
    WHERE scrape_id = %(scrape_id)s AND url = %(url)s AND status = 'running'
      AND attempts = %(attempts)s AND stage = %(stage)s"""  # noqa: S608 - made of constants


async def end_pages(connection: Connection, scrape_id: str, ends: Sequence[PageEnd]) -> list[bool]:
    """Write how pages of one scrape ended; for each, whether its claim still held it."""
    cursor = connection.cursor()
    await cursor.executemany(_END, [_row(scrape_id, end) for end in ends], returning=True)
    return [result.rowcount > 0 async for result in cursor.results()]


def _row(scrape_id: str, end: PageEnd) -> dict[str, object]:
    claim, outcome = end.claim, end.outcome
    hashed = outcome.simhash
    return {
        "status": outcome.status,
        "title": outcome.title,
        "file_id": outcome.file_id,
        "reason": outcome.reason,
        "change": outcome.change,
        "rendering": outcome.rendering,
        "bytes": outcome.bytes,
        "records": None if outcome.records is None else Jsonb(list(outcome.records)),
        "simhash": None if hashed is None else _signed(hashed),
        **{
            f"simhash_{place}": quarter
            for place, quarter in enumerate((None,) * 4 if hashed is None else quarters(hashed))
        },
        "bits": NEAR_DUPLICATE_BITS,
        "scrape_id": scrape_id,
        "url": claim.url,
        "attempts": claim.attempts,
        "stage": claim.stage,
    }


def _signed(simhash: int) -> int:
    """As PostgreSQL holds 64 bits."""
    return simhash if simhash < 1 << 63 else simhash - (1 << 64)
