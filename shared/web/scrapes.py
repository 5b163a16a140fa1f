"""Scrapes: made, shown, cancelled. Every function runs in a transaction of the tenant."""

import secrets
from datetime import datetime

from psycopg.rows import DictRow

from shared.errors import NotFoundError
from shared.postgres.database import Connection
from shared.postgres.pages import Page, PageRequest, fetch_page
from shared.web.scrape_models import NewScrape, PageCounts, PageStatus, Scrape, ScrapePage

_CANCELLED = "The scrape was cancelled."

_SELECT = """
    SELECT s.*, counts.*
    FROM scrapes s
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE p.status = 'queued') AS pages_queued,
               count(*) FILTER (WHERE p.status = 'running') AS pages_running,
               count(*) FILTER (WHERE p.status = 'completed') AS pages_completed,
               count(*) FILTER (WHERE p.status = 'skipped') AS pages_skipped,
               count(*) FILTER (WHERE p.status = 'failed') AS pages_failed
        FROM scrape_pages p
        WHERE p.tenant_id = s.tenant_id AND p.scrape_id = s.scrape_id
    ) counts
    WHERE true"""


async def create_scrape(connection: Connection, new: NewScrape, now: datetime) -> Scrape:
    """A queued scrape with its start page. Send `FetchPage` for that page, depth 0, after the commit."""
    # Milliseconds first, so that the order of ids is that of age.
    scrape_id = f"scrape_{int(now.timestamp() * 1000):012x}{secrets.token_hex(10)}"
    await connection.execute(
        """
        INSERT INTO scrapes (tenant_id, scrape_id, vector_store_id, start_url, depth_limit, page_limit,
                             page_count, status, created_at, updated_at)
        VALUES (%s, %s, %s, %s, %s, %s, 1, 'queued', %s, %s)
        """,
        (
            new.tenant_id,
            scrape_id,
            new.vector_store_id,
            new.start_url,
            new.depth_limit,
            new.page_limit,
            now,
            now,
        ),
    )
    await connection.execute(
        """
        INSERT INTO scrape_pages (tenant_id, scrape_id, url, depth, status)
        VALUES (%s, %s, %s, 0, 'queued')
        """,
        (new.tenant_id, scrape_id, new.start_url),
    )
    return await get_scrape(connection, scrape_id)


async def get_scrape(connection: Connection, scrape_id: str) -> Scrape:
    """One scrape with its counts.

    Raises:
        NotFoundError: The tenant has no such scrape.
    """
    cursor = await connection.execute(_SELECT + " AND s.scrape_id = %s", (scrape_id,))
    if (row := await cursor.fetchone()) is None:
        raise _no_such_scrape(scrape_id)
    return _scrape(row)


async def list_scrapes(connection: Connection, request: PageRequest) -> Page[Scrape]:
    """One page of the tenant's scrapes, by age."""
    return await fetch_page(
        connection, _SELECT, id_column="s.scrape_id", request=request, parameters={}, make=_scrape
    )


async def list_pages(
    connection: Connection, scrape_id: str, request: PageRequest, *, status: PageStatus | None = None
) -> Page[ScrapePage]:
    """One page of a scrape's pages, all or those in one status, by URL, which is also their id here."""
    return await fetch_page(
        connection,
        """
        SELECT * FROM scrape_pages
        WHERE scrape_id = %(scrape_id)s AND (%(status)s::text IS NULL OR status = %(status)s)""",
        id_column="url",
        request=request,
        parameters={"scrape_id": scrape_id, "status": status},
        make=_page,
    )


async def cancel_scrape(connection: Connection, scrape_id: str) -> Scrape:
    """Stop a scrape: pages in work are finished, the rest is skipped. One that has ended stays as it is.

    Raises:
        NotFoundError: The tenant has no such scrape.
    """
    cursor = await connection.execute(
        """
        UPDATE scrapes SET status = 'cancelled', updated_at = now()
        WHERE scrape_id = %s AND status IN ('queued', 'running')
        """,
        (scrape_id,),
    )
    if cursor.rowcount:
        await skip_queued_pages(connection, scrape_id, _CANCELLED)
    return await get_scrape(connection, scrape_id)


async def fail_scrape(connection: Connection, scrape_id: str, reason: str) -> None:
    """End a scrape that cannot go on, as when its vector store is gone; what is queued is skipped."""
    cursor = await connection.execute(
        """
        UPDATE scrapes SET status = 'failed', error_message = %s, updated_at = now()
        WHERE scrape_id = %s AND status IN ('queued', 'running')
        """,
        (reason, scrape_id),
    )
    if cursor.rowcount:
        await skip_queued_pages(connection, scrape_id, reason)


async def skip_queued_pages(connection: Connection, scrape_id: str, reason: str) -> None:
    """Skip what is queued, under the lock that its caller has on the scrape."""
    await connection.execute(
        """
        UPDATE scrape_pages SET status = 'skipped', error_message = %s, updated_at = now()
        WHERE scrape_id = %s AND status = 'queued'
        """,
        (reason, scrape_id),
    )


def _no_such_scrape(scrape_id: str) -> NotFoundError:
    return NotFoundError(f"No such scrape: {scrape_id!r}.", param="scrape_id")


def _scrape(row: DictRow) -> Scrape:
    return Scrape(
        scrape_id=row["scrape_id"],
        vector_store_id=row["vector_store_id"],
        start_url=row["start_url"],
        depth_limit=row["depth_limit"],
        page_limit=row["page_limit"],
        status=row["status"],
        error_message=row["error_message"],
        page_counts=PageCounts(
            queued=row["pages_queued"],
            running=row["pages_running"],
            completed=row["pages_completed"],
            skipped=row["pages_skipped"],
            failed=row["pages_failed"],
        ),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _page(row: DictRow) -> ScrapePage:
    return ScrapePage(
        url=row["url"],
        depth=row["depth"],
        found_on=row["found_on"],
        status=row["status"],
        attempts=row["attempts"],
        title=row["title"],
        file_id=row["file_id"],
        error_message=row["error_message"],
        updated_at=row["updated_at"],
    )
