"""The pages of a scrape as work: who takes them, and why not.

Each function runs in a transaction of the tenant.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta

from psycopg.rows import DictRow

from shared.postgres.database import Connection
from shared.web.messages import FetchPage
from shared.web.scrape_models import CrawlRules, PageBusy, PageClaim, PageElsewhere, Stage

# What comes of a message: work, a reason to wait, or nothing, because the page has ended.
Claimed = PageClaim | PageBusy | PageElsewhere | None

# The stages that each function does.
SCRAPING: tuple[Stage, ...] = ("fetch", "rendered")
RENDERING: tuple[Stage, ...] = ("render",)

# Pages that others hold at this moment are passed over, so that no two claims wait for each other's rows.
_CLAIM = """
    WITH free AS (
        SELECT p.url FROM scrape_pages p
        WHERE p.scrape_id = %(scrape_id)s AND p.url = ANY (%(urls)s) AND p.stage = ANY (%(stages)s)
          AND (p.status = 'queued' OR (p.status = 'running' AND p.lease_until <= now()))
        FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE scrape_pages p
    SET status = 'running', attempts = p.attempts + 1, lease_until = now() + %(lease)s, updated_at = now()
    FROM scrapes s, free
    WHERE p.scrape_id = %(scrape_id)s AND p.url = free.url
      AND s.tenant_id = p.tenant_id AND s.scrape_id = p.scrape_id AND s.status = 'running'
    RETURNING p.url, p.kind, p.stage, p.site, p.depth, p.attempts, p.records,
              s.vector_store_id, s.depth_limit, s.rules"""


async def claim_pages(
    connection: Connection,
    messages: Sequence[FetchPage],
    lease: timedelta,
    *,
    stages: Collection[Stage] = SCRAPING,
) -> list[Claimed]:
    """Take those pages of one scrape that are queued, or whose worker let its lease run out.

    Args:
        messages: At least one; all of one scrape.
        stages: What the caller can do; a page that waits for something else is `PageElsewhere`.

    Returns:
        What came of each message, in their order.
    """
    scrape_id = messages[0].scrape_id
    await connection.execute(
        """
        UPDATE scrapes SET status = 'running', updated_at = now()
        WHERE scrape_id = %s AND status = 'queued'
        """,
        (scrape_id,),
    )
    cursor = await connection.execute(
        _CLAIM,
        {
            "scrape_id": scrape_id,
            "urls": [message.url for message in messages],
            "lease": lease,
            "stages": list(stages),
        },
    )
    taken = {row["url"]: row for row in await cursor.fetchall()}
    # A message that is there twice has the page once.
    rows = [taken.pop(message.url, None) for message in messages]
    return [
        await _why_not(connection, message, stages) if row is None else _page_claim(message, row)
        for message, row in zip(messages, rows, strict=True)
    ]


def _page_claim(message: FetchPage, row: DictRow) -> PageClaim:
    return PageClaim(
        tenant_id=message.tenant_id,
        scrape_id=message.scrape_id,
        url=message.url,
        kind=row["kind"],
        stage=row["stage"],
        site=row["site"],
        depth=row["depth"],
        attempts=row["attempts"],
        vector_store_id=row["vector_store_id"],
        follows_links=row["kind"] == "sitemap" or row["depth"] < row["depth_limit"],
        rules=CrawlRules.model_validate(row["rules"]),
        records=None if row["records"] is None else tuple(row["records"]),
    )


async def _why_not(connection: Connection, message: FetchPage, stages: Collection[Stage]) -> Claimed:
    cursor = await connection.execute(
        """
        SELECT p.status, p.stage, extract(epoch FROM p.lease_until - now())::float8 AS seconds
        FROM scrape_pages p
        JOIN scrapes s ON s.tenant_id = p.tenant_id AND s.scrape_id = p.scrape_id
        WHERE p.scrape_id = %s AND p.url = %s AND p.status IN ('queued', 'running') AND s.status = 'running'
        """,
        (message.scrape_id, message.url),
    )
    if (row := await cursor.fetchone()) is None:
        return None
    if row["stage"] not in stages:
        return PageElsewhere(row["stage"])
    # Between the two looks its worker may have put it back.
    return PageBusy(max(0.0, row["seconds"] or 0.0))
