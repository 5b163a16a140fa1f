"""Scrapes: made, shown, cancelled. Every function runs in a transaction of the tenant."""

import secrets
from datetime import datetime

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from shared.errors import NotFoundError
from shared.postgres.database import Connection
from shared.postgres.pages import Page, PageRequest, fetch_page
from shared.web.messages import FetchPage
from shared.web.scrape_end import end_scrape
from shared.web.scrape_models import (
    CrawlRules,
    NewScrape,
    PageCounts,
    PageRecords,
    PageStatus,
    Scrape,
    ScrapePage,
)

_CANCELLED = "The scrape was cancelled."

_SELECT = """
    SELECT s.*, counts.*
    FROM scrapes s
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE p.status = 'queued') AS pages_queued,
               count(*) FILTER (WHERE p.status = 'running') AS pages_running,
               count(*) FILTER (WHERE p.status = 'completed') AS pages_completed,
               count(*) FILTER (WHERE p.status = 'skipped') AS pages_skipped,
               count(*) FILTER (WHERE p.status = 'failed') AS pages_failed,
               count(*) FILTER (WHERE p.change = 'unchanged') AS pages_unchanged
        FROM scrape_pages p
        WHERE p.tenant_id = s.tenant_id AND p.scrape_id = s.scrape_id AND p.kind = 'page'
    ) counts
    WHERE true"""


async def create_scrape(
    connection: Connection, new: NewScrape, now: datetime, *, schedule_id: str | None = None
) -> Scrape:
    """A queued scrape with its start pages. Send `first_messages` after the commit."""
    # Milliseconds first, so that the order of ids is that of age.
    scrape_id = f"scrape_{int(now.timestamp() * 1000):012x}{secrets.token_hex(10)}"
    start_urls = list(dict.fromkeys(new.start_urls))
    await connection.execute(
        """
        INSERT INTO scrapes (tenant_id, scrape_id, schedule_id, vector_store_id, start_url, depth_limit,
                             page_limit, page_count, byte_limit, rules, webhook_secret, webhook_status,
                             status, created_at, updated_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'queued', %s, %s)
        """,
        (
            new.tenant_id,
            scrape_id,
            schedule_id,
            new.vector_store_id,
            [*start_urls, *new.sitemaps][0],
            new.depth_limit,
            new.page_limit,
            len(start_urls),
            new.byte_limit,
            Jsonb(new.rules.model_dump(exclude_defaults=True)),
            new.webhook_secret,
            "waiting" if new.rules.webhook_url else None,
            now,
            now,
        ),
    )
    await _begin_with(connection, new, scrape_id, start_urls)
    return await get_scrape(connection, scrape_id)


async def _begin_with(connection: Connection, new: NewScrape, scrape_id: str, start_urls: list[str]) -> None:
    await connection.execute(
        """
        INSERT INTO scrape_pages (tenant_id, scrape_id, url, kind, depth, status)
        SELECT %(tenant_id)s, %(scrape_id)s, start.url, start.kind, 0, 'queued'
        FROM (SELECT unnest(%(sitemaps)s::text[]) AS url, 'sitemap' AS kind
              UNION ALL SELECT unnest(%(pages)s::text[]), 'page') AS start
        ON CONFLICT DO NOTHING
        """,
        {
            "tenant_id": new.tenant_id,
            "scrape_id": scrape_id,
            "pages": start_urls,
            "sitemaps": list(new.sitemaps),
        },
    )


async def first_messages(connection: Connection, tenant_id: str, scrape_id: str) -> list[FetchPage]:
    """A message for every page that a new scrape begins with."""
    cursor = await connection.execute(
        "SELECT url, depth FROM scrape_pages WHERE scrape_id = %s AND status = 'queued'", (scrape_id,)
    )
    rows = await cursor.fetchall()
    return [FetchPage(tenant_id=tenant_id, scrape_id=scrape_id, **row) for row in rows]


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


async def list_records(connection: Connection, scrape_id: str, request: PageRequest) -> Page[PageRecords]:
    """The records of a part of a scrape's pages, those that have any, by URL."""
    return await fetch_page(
        connection,
        "SELECT url, records FROM scrape_pages WHERE scrape_id = %(scrape_id)s AND records IS NOT NULL",
        id_column="url",
        request=request,
        parameters={"scrape_id": scrape_id},
        make=lambda row: PageRecords(url=row["url"], records=row["records"]),
    )


async def cancel_scrape(connection: Connection, scrape_id: str) -> Scrape:
    """Stop a scrape: pages in work are finished, the rest is skipped. One that has ended stays as it is.

    If its webhook is due then (`report_if_due`), send that after the commit.

    Raises:
        NotFoundError: The tenant has no such scrape.
    """
    await end_scrape(connection, scrape_id, status="cancelled", error=None, reason=_CANCELLED)
    return await get_scrape(connection, scrape_id)


async def fail_scrape(connection: Connection, scrape_id: str, reason: str) -> None:
    """End a scrape that cannot go on, as when its vector store is gone; what is queued is skipped."""
    await end_scrape(connection, scrape_id, status="failed", error=reason, reason=reason)


def _no_such_scrape(scrape_id: str) -> NotFoundError:
    return NotFoundError(f"No such scrape: {scrape_id!r}.", param="scrape_id")


def _scrape(row: DictRow) -> Scrape:
    return Scrape(
        scrape_id=row["scrape_id"],
        schedule_id=row["schedule_id"],
        vector_store_id=row["vector_store_id"],
        start_url=row["start_url"],
        depth_limit=row["depth_limit"],
        page_limit=row["page_limit"],
        byte_limit=row["byte_limit"],
        bytes_read=row["bytes_read"],
        rules=CrawlRules.model_validate(row["rules"]),
        webhook_status=row["webhook_status"],
        unchanged=row["pages_unchanged"],
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
        kind=row["kind"],
        rendering=row["rendering"],
        change=row["change"],
        similar_to=row["similar_to"],
        depth=row["depth"],
        found_on=row["found_on"],
        status=row["status"],
        attempts=row["attempts"],
        title=row["title"],
        file_id=row["file_id"],
        error_message=row["error_message"],
        updated_at=row["updated_at"],
    )
