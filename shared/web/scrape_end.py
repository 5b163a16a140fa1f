"""How scrapes end: with their last page, with their bytes, cancelled or failed; and who is to be told.

Each function runs in a transaction of the tenant that holds the row of the scrape.
"""

from shared.postgres.database import Connection
from shared.web.messages import ReportScrape, ScrapeMessage

_OUT_OF_BYTES = "The scrape had read as many bytes as it may."

# Where a webhook waits for the end, it is due now.
_DUE = "webhook_status = CASE WHEN webhook_status = 'waiting' THEN 'due' ELSE webhook_status END"


async def close_if_done(connection: Connection, scrape_id: str) -> None:
    """End a scrape that goes on and has no page left to work on."""
    cursor = await connection.execute(
        """
        SELECT 1 FROM scrape_pages WHERE scrape_id = %s AND status IN ('queued', 'running') LIMIT 1
        """,
        (scrape_id,),
    )
    if await cursor.fetchone() is not None:
        return
    await connection.execute(
        f"""
        UPDATE scrapes s
        SET status = CASE WHEN done.completed > 0 THEN 'completed' ELSE 'failed' END,
            error_message = CASE WHEN done.completed > 0 THEN NULL ELSE done.reason END,
            updated_at = now(), {_DUE}
        FROM (
            SELECT count(*) FILTER (WHERE status = 'completed' AND kind = 'page') AS completed,
                   coalesce(min(error_message) FILTER (WHERE depth = 0), 'No page was found.') AS reason
            FROM scrape_pages WHERE scrape_id = %(scrape_id)s
        ) done
        WHERE s.scrape_id = %(scrape_id)s AND s.status = 'running'
        """,  # noqa: S608 - a constant
        {"scrape_id": scrape_id},
    )


async def end_scrape(
    connection: Connection, scrape_id: str, *, status: str, error: str | None, reason: str
) -> bool:
    """End a scrape that goes on, as `status`, and skip what is queued for `reason`. Whether it went on."""
    cursor = await connection.execute(
        f"""
        UPDATE scrapes SET status = %s, error_message = %s, updated_at = now(), {_DUE}
        WHERE scrape_id = %s AND status IN ('queued', 'running')
        """,  # noqa: S608 - a constant
        (status, error, scrape_id),
    )
    if not cursor.rowcount:
        return False
    await _skip_queued(connection, scrape_id, reason)
    return True


async def count_work(connection: Connection, scrape_id: str, *, found: int, read: int) -> bool:
    """Add pages that were found and bytes that were read. Whether the scrape may read no more.

    Then what is queued is skipped.
    """
    cursor = await connection.execute(
        """
        UPDATE scrapes
        SET page_count = page_count + %s, bytes_read = bytes_read + %s, updated_at = now()
        WHERE scrape_id = %s
        RETURNING bytes_read >= byte_limit AS spent
        """,
        (found, read, scrape_id),
    )
    row = await cursor.fetchone()
    if row is None or not row["spent"]:
        return False
    await _skip_queued(connection, scrape_id, _OUT_OF_BYTES)
    return True


async def report_if_due(connection: Connection, tenant_id: str, scrape_id: str) -> list[ScrapeMessage]:
    """The message that has the webhook of a scrape called, if it is due."""
    cursor = await connection.execute(
        "SELECT webhook_attempts FROM scrapes WHERE scrape_id = %s AND webhook_status = 'due'", (scrape_id,)
    )
    if (row := await cursor.fetchone()) is None:
        return []
    return [ReportScrape(tenant_id=tenant_id, scrape_id=scrape_id, attempt=row["webhook_attempts"])]


async def _skip_queued(connection: Connection, scrape_id: str, reason: str) -> None:
    await connection.execute(
        """
        UPDATE scrape_pages SET status = 'skipped', error_message = %s, updated_at = now()
        WHERE scrape_id = %s AND status = 'queued'
        """,
        (reason, scrape_id),
    )
