"""The pages of a scrape as work: claimed, finished, found. Each function runs in a transaction of the tenant.

A page is worked on by one claim at a time and ends once, whatever is delivered twice or dies on the way. What
changes the set of pages first locks the row of the scrape, so the limits and the end of a scrape are exact;
that lock always comes before those of pages.
"""

from collections.abc import Sequence
from datetime import timedelta

from shared.postgres.database import Connection
from shared.web.messages import FetchPage
from shared.web.scrape_models import PageBusy, PageClaim, PageOutcome

_ENDED_EARLY = "The scrape ended before."


async def claim_page(
    connection: Connection, message: FetchPage, lease: timedelta
) -> PageClaim | PageBusy | None:
    """Take a page that is queued, or whose worker let its lease run out; `None` if nothing is to be done."""
    await connection.execute(
        """
        UPDATE scrapes SET status = 'running', updated_at = now()
        WHERE scrape_id = %s AND status = 'queued'
        """,
        (message.scrape_id,),
    )
    cursor = await connection.execute(
        """
        UPDATE scrape_pages p
        SET status = 'running', attempts = p.attempts + 1, lease_until = now() + %(lease)s, updated_at = now()
        FROM scrapes s
        WHERE p.scrape_id = %(scrape_id)s AND p.url = %(url)s
          AND s.tenant_id = p.tenant_id AND s.scrape_id = p.scrape_id AND s.status = 'running'
          AND (p.status = 'queued' OR (p.status = 'running' AND p.lease_until <= now()))
        RETURNING p.depth, p.attempts, s.vector_store_id, s.depth_limit
        """,
        {"scrape_id": message.scrape_id, "url": message.url, "lease": lease},
    )
    if (row := await cursor.fetchone()) is None:
        return await _busy(connection, message)
    return PageClaim(
        tenant_id=message.tenant_id,
        scrape_id=message.scrape_id,
        url=message.url,
        depth=row["depth"],
        attempts=row["attempts"],
        vector_store_id=row["vector_store_id"],
        follows_links=row["depth"] < row["depth_limit"],
    )


async def release_page(connection: Connection, claim: PageClaim, *, counted: bool) -> None:
    """Put a page back into the queue; unless `counted`, as if it had not been tried."""
    running = await _lock(connection, claim.scrape_id)
    await connection.execute(
        """
        UPDATE scrape_pages
        SET status = %s, error_message = %s, attempts = attempts - %s, lease_until = NULL, updated_at = now()
        WHERE scrape_id = %s AND url = %s AND status = 'running' AND attempts = %s
        """,
        (
            "queued" if running else "skipped",
            None if running else _ENDED_EARLY,
            0 if counted else 1,
            claim.scrape_id,
            claim.url,
            claim.attempts,
        ),
    )


async def finish_page(connection: Connection, claim: PageClaim, outcome: PageOutcome) -> bool:
    """End a page, and with its last page the scrape; false if another claim has the page by now.

    A scrape of which no page was completed has failed, for the reason of its start page.
    """
    await _lock(connection, claim.scrape_id)
    cursor = await connection.execute(
        """
        UPDATE scrape_pages
        SET status = %s, title = %s, file_id = %s, error_message = %s, lease_until = NULL, updated_at = now()
        WHERE scrape_id = %s AND url = %s AND status = 'running' AND attempts = %s
        """,
        (
            outcome.status,
            outcome.title,
            outcome.file_id,
            outcome.reason,
            claim.scrape_id,
            claim.url,
            claim.attempts,
        ),
    )
    if cursor.rowcount == 0:
        return False
    await _close_if_done(connection, claim.scrape_id)
    return True


async def enqueue_links(connection: Connection, claim: PageClaim, links: Sequence[str]) -> list[FetchPage]:
    """Queue the links of a claimed page that are new, as far as the limits allow.

    Returns:
        The messages to send after the commit: of pages queued now, and of those that an earlier claim queued
        and that nobody has taken up, because it may have died before sending.
    """
    if not await _lock(connection, claim.scrape_id) or not claim.follows_links:
        return []
    found = {"tenant_id": claim.tenant_id, "scrape_id": claim.scrape_id, "found_on": claim.url}
    inserted = await connection.execute(
        """
        INSERT INTO scrape_pages (tenant_id, scrape_id, url, depth, found_on, status)
        SELECT %(tenant_id)s, %(scrape_id)s, link.url, %(depth)s, %(found_on)s, 'queued'
        FROM unnest(%(links)s::text[]) WITH ORDINALITY AS link (url, place)
        WHERE NOT EXISTS (
            SELECT FROM scrape_pages known WHERE known.scrape_id = %(scrape_id)s AND known.url = link.url)
        ORDER BY link.place
        LIMIT (SELECT page_limit - page_count FROM scrapes WHERE scrape_id = %(scrape_id)s)
        ON CONFLICT DO NOTHING
        """,
        {**found, "depth": claim.depth + 1, "links": list(dict.fromkeys(links))},
    )
    await connection.execute(
        "UPDATE scrapes SET page_count = page_count + %s, updated_at = now() WHERE scrape_id = %s",
        (inserted.rowcount, claim.scrape_id),
    )
    waiting = await connection.execute(
        """
        SELECT url, depth FROM scrape_pages
        WHERE scrape_id = %(scrape_id)s AND found_on = %(found_on)s AND status = 'queued' AND attempts = 0
        """,
        found,
    )
    return [
        FetchPage(tenant_id=claim.tenant_id, scrape_id=claim.scrape_id, url=row["url"], depth=row["depth"])
        for row in await waiting.fetchall()
    ]


async def stalled_pages(connection: Connection, *, idle: timedelta, limit: int) -> list[FetchPage]:
    """Pages that nobody has touched for `idle` though their scrape goes on: send them again after the commit.

    This touches them, so that none comes again before another `idle` has passed.
    """
    # MATERIALIZED: some plans run a plain subquery once per row they join, and so take more than its LIMIT.
    cursor = await connection.execute(
        """
        WITH stalled AS MATERIALIZED (
            SELECT p.tenant_id, p.scrape_id, p.url
            FROM scrape_pages p
            JOIN scrapes s ON s.tenant_id = p.tenant_id AND s.scrape_id = p.scrape_id
            WHERE s.status IN ('queued', 'running') AND p.status IN ('queued', 'running')
              AND p.updated_at < now() - %s::interval AND (p.lease_until IS NULL OR p.lease_until < now())
            LIMIT %s
            FOR UPDATE OF p SKIP LOCKED
        )
        UPDATE scrape_pages p SET updated_at = now()
        FROM stalled
        WHERE p.tenant_id = stalled.tenant_id AND p.scrape_id = stalled.scrape_id AND p.url = stalled.url
        RETURNING p.tenant_id, p.scrape_id, p.url, p.depth
        """,
        (idle, limit),
    )
    return [FetchPage.model_validate(row) for row in await cursor.fetchall()]


async def _lock(connection: Connection, scrape_id: str) -> bool:
    """Hold the scrape until the transaction ends; whether it goes on."""
    cursor = await connection.execute(
        "SELECT status FROM scrapes WHERE scrape_id = %s FOR NO KEY UPDATE", (scrape_id,)
    )
    row = await cursor.fetchone()
    return row is not None and row["status"] == "running"


async def _busy(connection: Connection, message: FetchPage) -> PageBusy | None:
    cursor = await connection.execute(
        """
        SELECT extract(epoch FROM p.lease_until - now())::float8 AS seconds
        FROM scrape_pages p
        JOIN scrapes s ON s.tenant_id = p.tenant_id AND s.scrape_id = p.scrape_id
        WHERE p.scrape_id = %s AND p.url = %s AND p.status = 'running' AND s.status = 'running'
        """,
        (message.scrape_id, message.url),
    )
    row = await cursor.fetchone()
    return None if row is None else PageBusy(max(0.0, row["seconds"]))


async def _close_if_done(connection: Connection, scrape_id: str) -> None:
    cursor = await connection.execute(
        """
        SELECT 1 FROM scrape_pages WHERE scrape_id = %s AND status IN ('queued', 'running') LIMIT 1
        """,
        (scrape_id,),
    )
    if await cursor.fetchone() is not None:
        return
    await connection.execute(
        """
        UPDATE scrapes s
        SET status = CASE WHEN done.completed > 0 THEN 'completed' ELSE 'failed' END,
            error_message = CASE WHEN done.completed > 0 THEN NULL ELSE done.reason END,
            updated_at = now()
        FROM (
            SELECT count(*) FILTER (WHERE status = 'completed') AS completed,
                   min(error_message) FILTER (WHERE depth = 0) AS reason
            FROM scrape_pages WHERE scrape_id = %(scrape_id)s
        ) done
        WHERE s.scrape_id = %(scrape_id)s AND s.status = 'running'
        """,
        {"scrape_id": scrape_id},
    )
