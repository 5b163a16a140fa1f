"""Records that a model was paid for, kept before the page has ended."""

from collections.abc import Sequence

from psycopg.types.json import Jsonb

from shared.postgres.database import Connection
from shared.web.records import Record
from shared.web.scrape_models import PageClaim


async def keep_records(connection: Connection, claim: PageClaim, records: Sequence[Record]) -> None:
    """Keep a page's records, so that a later claim of it has them (`PageClaim.records`) and pays nothing."""
    await connection.execute(
        """
        UPDATE scrape_pages SET records = %s
        WHERE scrape_id = %s AND url = %s AND status = 'running' AND attempts = %s AND stage = %s
        """,
        (Jsonb(list(records)), claim.scrape_id, claim.url, claim.attempts, claim.stage),
    )
