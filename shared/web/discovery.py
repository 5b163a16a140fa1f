"""What pages and sitemaps lead to, queued: each URL once, as far as the limits allow.

Each function runs in a transaction of the tenant that holds the row of the scrape.
"""

from collections.abc import Sequence

from shared.postgres.database import Connection
from shared.web.messages import FetchPage
from shared.web.scrape_models import Findings, PageClaim, PageKind

# Sitemaps of one scrape; an index may name 50,000 (https://www.sitemaps.org/protocol.html).
_SITEMAPS = 500

_INSERT = """
    INSERT INTO scrape_pages (tenant_id, scrape_id, url, kind, depth, site, found_on, status)
    SELECT %(tenant_id)s, %(scrape_id)s, found.url, %(kind)s, %(depth)s, %(site)s, %(found_on)s, 'queued'
    FROM unnest(%(urls)s::text[]) WITH ORDINALITY AS found (url, place)
    WHERE NOT EXISTS (
        SELECT FROM scrape_pages known WHERE known.scrape_id = %(scrape_id)s AND known.url = found.url)
    ORDER BY found.place
    LIMIT greatest(%(room)s, 0)
    ON CONFLICT DO NOTHING
    RETURNING url, depth"""


async def queue_pages(
    connection: Connection, claim: PageClaim, findings: Findings, room: int
) -> list[FetchPage]:
    """Queue the pages that one led to and that are new, as far as there is room.

    Returns:
        The messages to send after the commit.
    """
    if not findings.urls or room <= 0:
        return []
    depth = 0 if claim.kind == "sitemap" else claim.depth + 1
    return await _insert(connection, claim, "page", findings.urls, findings.site, depth, room)


async def queue_sitemaps(connection: Connection, claim: PageClaim, findings: Findings) -> list[FetchPage]:
    """Queue the sitemaps that one names and that are new, as `queue_pages`."""
    if not findings.sitemaps:
        return []
    cursor = await connection.execute(
        "SELECT count(*) AS known FROM scrape_pages WHERE scrape_id = %s AND kind = 'sitemap'",
        (claim.scrape_id,),
    )
    row = await cursor.fetchone()
    room = _SITEMAPS - (row["known"] if row else 0)
    return await _insert(
        connection, claim, "sitemap", findings.sitemaps, findings.site, claim.depth + 1, room
    )


async def queued_by(connection: Connection, message: FetchPage) -> list[FetchPage]:
    """What was found on a page and nobody has taken up yet."""
    cursor = await connection.execute(
        """
        SELECT p.url, p.depth FROM scrape_pages p
        JOIN scrapes s ON s.tenant_id = p.tenant_id AND s.scrape_id = p.scrape_id
        WHERE p.scrape_id = %s AND p.found_on = %s AND p.status = 'queued' AND p.attempts = 0
          AND s.status = 'running'
        """,
        (message.scrape_id, message.url),
    )
    return [message.model_copy(update=row) for row in await cursor.fetchall()]


async def _insert(
    connection: Connection,
    claim: PageClaim,
    kind: PageKind,
    urls: Sequence[str],
    site: str | None,
    depth: int,
    room: int,
) -> list[FetchPage]:
    parameters = {
        "tenant_id": claim.tenant_id,
        "scrape_id": claim.scrape_id,
        "found_on": claim.url,
        "kind": kind,
        "urls": list(dict.fromkeys(urls)),
        "site": site,
        "depth": depth,
        "room": room,
    }
    cursor = await connection.execute(_INSERT, parameters)
    found = await cursor.fetchall()
    return [FetchPage(tenant_id=claim.tenant_id, scrape_id=claim.scrape_id, **row) for row in found]
