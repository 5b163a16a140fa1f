"""Pages as a browser has made them, on their way from rendering to scraping.

Each function runs in a transaction of the tenant.
"""

import json
import zlib
from dataclasses import dataclass

from shared.postgres.database import Connection
from shared.web.answer import Fetched
from shared.web.frontier import pass_page
from shared.web.scrape_models import PageClaim


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """What the browser showed in the end. `robots` holds every `X-Robots-Tag` of the answer."""

    url: str
    status: int
    html: str
    robots: tuple[str, ...] = ()


async def hand_back(connection: Connection, claim: PageClaim, rendered: Rendered) -> bool:
    """Keep a page for scraping, where it waits then; send its message there after the commit.

    Returns:
        Whether it waits: not if another claim has it by now, or its scrape has ended.
    """
    if not await pass_page(connection, claim, "rendered"):
        return False
    head = json.dumps({"url": rendered.url, "status": rendered.status, "robots": rendered.robots})
    await connection.execute(
        "UPDATE scrape_pages SET rendered = %s WHERE scrape_id = %s AND url = %s",
        (zlib.compress(f"{head}\n{rendered.html}".encode(), 1), claim.scrape_id, claim.url),
    )
    return True


async def rendered_page(connection: Connection, claim: PageClaim) -> Fetched | None:
    """The page as if it had been fetched like that."""
    cursor = await connection.execute(
        "SELECT rendered FROM scrape_pages WHERE scrape_id = %s AND url = %s", (claim.scrape_id, claim.url)
    )
    row = await cursor.fetchone()
    if row is None or row["rendered"] is None:
        return None
    head, _, html = zlib.decompress(row["rendered"]).partition(b"\n")
    about = json.loads(head)
    return Fetched(
        url=about["url"],
        status=about["status"],
        media_type="text/html",
        charset="utf-8",
        body=html,
        truncated=False,
        robots=tuple(about["robots"]),
        retry_after=None,
        content_disposition=None,
    )
