"""What pages and sitemaps lead to, queued: each URL once, as far as the limits allow.

Each function runs in a transaction of the tenant that holds the row of the scrape.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.postgres.database import Connection
from shared.web.messages import FetchPage
from shared.web.scrape_models import PageEnd, PageKind

# Sitemaps of one scrape; an index may name 50,000 (https://www.sitemaps.org/protocol.html).
_SITEMAPS = 500

_INSERT = """
    INSERT INTO scrape_pages (tenant_id, scrape_id, url, kind, depth, site, found_on, status)
    SELECT %(tenant_id)s, %(scrape_id)s, found.url, %(kind)s, found.depth, found.site, found.finder, 'queued'
    FROM unnest(%(urls)s::text[], %(depths)s::int[], %(sites)s::text[], %(finders)s::text[])
        WITH ORDINALITY AS found (url, depth, site, finder, place)
    WHERE NOT EXISTS (
        SELECT FROM scrape_pages known WHERE known.scrape_id = %(scrape_id)s AND known.url = found.url)
    ORDER BY found.place
    LIMIT %(room)s
    ON CONFLICT DO NOTHING
    RETURNING url, depth, found_on"""


@dataclass(frozen=True)
class Queued:
    """The message of a page that was queued, to send after the commit, and the page it was found on."""

    message: FetchPage
    found_on: str


async def queue_pages(connection: Connection, ends: Sequence[PageEnd], room: int) -> list[Queued]:
    """Queue the pages that others of one scrape led to and that are new, as far as there is room."""
    followed = [end for end in ends if end.claim.follows_links]
    found = [
        _Found(url, end, 0 if end.claim.kind == "sitemap" else end.claim.depth + 1)
        for end in followed
        for url in end.findings.urls
    ]
    return await _insert(connection, "page", found, room)


async def queue_sitemaps(connection: Connection, ends: Sequence[PageEnd]) -> list[Queued]:
    """Queue the sitemaps that others of one scrape name and that are new, as `queue_pages`."""
    found = [_Found(url, end, end.claim.depth + 1) for end in ends for url in end.findings.sitemaps]
    if not found:
        return []
    cursor = await connection.execute(
        "SELECT count(*) AS known FROM scrape_pages WHERE scrape_id = %s AND kind = 'sitemap'",
        (ends[0].claim.scrape_id,),
    )
    row = await cursor.fetchone()
    return await _insert(connection, "sitemap", found, _SITEMAPS - (row["known"] if row else 0))


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


@dataclass(frozen=True)
class _Found:
    url: str
    by: PageEnd
    depth: int


async def _insert(connection: Connection, kind: PageKind, found: Sequence[_Found], room: int) -> list[Queued]:
    if not found or room <= 0:
        return []
    first: dict[str, _Found] = {}
    for one in found:
        first.setdefault(one.url, one)
    scrape = found[0].by.claim
    parameters = {
        "tenant_id": scrape.tenant_id,
        "scrape_id": scrape.scrape_id,
        "kind": kind,
        "urls": list(first),
        "depths": [one.depth for one in first.values()],
        "sites": [one.by.findings.site for one in first.values()],
        "finders": [one.by.claim.url for one in first.values()],
        "room": room,
    }
    cursor = await connection.execute(_INSERT, parameters)
    return [
        Queued(
            FetchPage(
                tenant_id=scrape.tenant_id, scrape_id=scrape.scrape_id, url=row["url"], depth=row["depth"]
            ),
            row["found_on"],
        )
        for row in await cursor.fetchall()
    ]
