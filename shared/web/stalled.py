"""Work whose message was lost. Runs in a transaction of the tenant."""

from datetime import timedelta

from shared.postgres.database import Connection
from shared.web.messages import FetchPage, ReportScrape, ScrapeMessage


async def stalled_work(connection: Connection, *, idle: timedelta, limit: int) -> list[ScrapeMessage]:
    """What nobody has touched for `idle` though it is not done: send it again after the commit.

    This touches it, so that none comes again before another `idle` has passed.
    """
    messages: list[ScrapeMessage] = [*await _pages(connection, idle, limit)]
    return messages + await _webhooks(connection, idle, limit)


async def _pages(connection: Connection, idle: timedelta, limit: int) -> list[FetchPage]:
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


async def _webhooks(connection: Connection, idle: timedelta, limit: int) -> list[ScrapeMessage]:
    cursor = await connection.execute(
        """
        WITH stalled AS MATERIALIZED (
            SELECT tenant_id, scrape_id FROM scrapes
            WHERE webhook_status = 'due' AND updated_at < now() - %s::interval
            LIMIT %s
            FOR UPDATE SKIP LOCKED
        )
        UPDATE scrapes s SET updated_at = now()
        FROM stalled
        WHERE s.tenant_id = stalled.tenant_id AND s.scrape_id = stalled.scrape_id
        RETURNING s.tenant_id, s.scrape_id, s.webhook_attempts AS attempt
        """,
        (idle, limit),
    )
    return [ReportScrape.model_validate(row) for row in await cursor.fetchall()]
