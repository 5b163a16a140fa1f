"""The pages of a scrape as work: given back, passed on, finished, once claimed (`claiming`).

Each function runs in a transaction of the tenant. A page is worked on by one claim at a time and ends once,
whatever is delivered twice or dies on the way. What changes the set of pages first locks the row of the
scrape, so the limits and the end of a scrape are exact; that lock always comes before those of pages.
"""

from dataclasses import dataclass

from psycopg.types.json import Jsonb

from shared.postgres.database import Connection
from shared.web.discovery import queue_pages, queue_sitemaps, queued_by
from shared.web.messages import FetchPage, ScrapeMessage
from shared.web.scrape_end import close_if_done, count_work, report_if_due
from shared.web.scrape_models import (
    NOTHING_FOUND,
    Findings,
    PageClaim,
    PageOutcome,
    Stage,
)
from shared.web.simhash import NEAR_DUPLICATE_BITS

_ENDED_EARLY = "The scrape ended before."


async def release_page(connection: Connection, claim: PageClaim, *, counted: bool) -> None:
    """Put a page back into the queue; unless `counted`, as if it had not been tried."""
    running = (await _lock(connection, claim.scrape_id)).running
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


async def pass_page(connection: Connection, claim: PageClaim, stage: Stage) -> bool:
    """Queue a page for its next stage, with all its tries; send its message there after the commit.

    Returns:
        Whether it waits there: not if another claim has it by now, or its scrape has ended.
    """
    if not (await _lock(connection, claim.scrape_id)).running:
        await release_page(connection, claim, counted=True)
        return False
    cursor = await connection.execute(
        """
        UPDATE scrape_pages
        SET status = 'queued', stage = %s, attempts = 0, lease_until = NULL, updated_at = now()
        WHERE scrape_id = %s AND url = %s AND status = 'running' AND attempts = %s AND stage = %s
        """,
        (stage, claim.scrape_id, claim.url, claim.attempts, claim.stage),
    )
    return cursor.rowcount > 0


async def finish_page(
    connection: Connection, claim: PageClaim, outcome: PageOutcome, findings: Findings = NOTHING_FOUND
) -> list[ScrapeMessage] | None:
    """End a page, queue what it led to, and end the scrape with its last page.

    A scrape of which no page was completed has failed, for the reason of its start page.

    Returns:
        The messages to send after the commit; `None` if another claim has the page by now.
    """
    lock = await _lock(connection, claim.scrape_id)
    if not await _end(connection, claim, outcome):
        return None
    messages: list[ScrapeMessage] = []
    if lock.running:
        room = lock.room if claim.follows_links else 0
        pages = await queue_pages(connection, claim, findings, room)
        messages += pages + await queue_sitemaps(connection, claim, findings)
        if await count_work(connection, claim.scrape_id, found=len(pages), read=outcome.bytes):
            messages = []
    if not messages:
        # With new pages in the queue it cannot be the last.
        await close_if_done(connection, claim.scrape_id)
        messages = await report_if_due(connection, claim.tenant_id, claim.scrape_id)
    return messages


async def unsent(connection: Connection, message: FetchPage) -> list[ScrapeMessage]:
    """What a page that has ended led to and nobody has taken up: its worker may have died first."""
    messages: list[ScrapeMessage] = [*await queued_by(connection, message)]
    return messages + await report_if_due(connection, message.tenant_id, message.scrape_id)


async def _end(connection: Connection, claim: PageClaim, outcome: PageOutcome) -> bool:
    cursor = await connection.execute(
        """
        UPDATE scrape_pages
        SET status = %(status)s, title = %(title)s, file_id = %(file_id)s, error_message = %(reason)s,
            change = %(change)s, rendering = %(rendering)s, bytes = %(bytes)s, records = %(records)s,
            simhash = %(simhash)s, similar_to = %(similar_to)s, rendered = NULL, lease_until = NULL,
            updated_at = now()
        WHERE scrape_id = %(scrape_id)s AND url = %(url)s AND status = 'running'
          AND attempts = %(attempts)s AND stage = %(stage)s
        """,
        {
            "status": outcome.status,
            "title": outcome.title,
            "file_id": outcome.file_id,
            "reason": outcome.reason,
            "change": outcome.change,
            "rendering": outcome.rendering,
            "bytes": outcome.bytes,
            "records": None if outcome.records is None else Jsonb(list(outcome.records)),
            "simhash": _signed(outcome.simhash),
            "similar_to": await _similar(connection, claim, outcome.simhash),
            "scrape_id": claim.scrape_id,
            "url": claim.url,
            "attempts": claim.attempts,
            "stage": claim.stage,
        },
    )
    return cursor.rowcount > 0


async def _similar(connection: Connection, claim: PageClaim, simhash: int | None) -> str | None:
    """A page of the scrape whose text is nearly the same."""
    if simhash is None:
        return None
    cursor = await connection.execute(
        """
        SELECT url FROM scrape_pages
        WHERE scrape_id = %s AND url <> %s AND bit_count((simhash # %s)::bit(64)) <= %s
        ORDER BY depth, url LIMIT 1
        """,
        (claim.scrape_id, claim.url, _signed(simhash), NEAR_DUPLICATE_BITS),
    )
    row = await cursor.fetchone()
    return None if row is None else str(row["url"])


def _signed(simhash: int | None) -> int | None:
    """As PostgreSQL holds 64 bits."""
    return simhash if simhash is None or simhash < 1 << 63 else simhash - (1 << 64)


@dataclass(frozen=True)
class _Locked:
    """A scrape that is held: whether it goes on, and how many pages it may still have."""

    running: bool
    room: int


async def _lock(connection: Connection, scrape_id: str) -> _Locked:
    """Hold the scrape until the transaction ends."""
    cursor = await connection.execute(
        """
        SELECT status, page_limit - page_count AS room FROM scrapes WHERE scrape_id = %s FOR NO KEY UPDATE
        """,
        (scrape_id,),
    )
    row = await cursor.fetchone()
    return _Locked(False, 0) if row is None else _Locked(row["status"] == "running", row["room"])
