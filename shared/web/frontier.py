"""The pages of a scrape as work: given back, passed on, finished, once claimed (`claiming`).

Each function runs in a transaction of the tenant. A page is worked on by one claim at a time and ends once,
whatever is delivered twice or dies on the way. What changes the set of pages first locks the row of the
scrape, so the limits and the end of a scrape are exact; that lock always comes before those of pages.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.postgres.database import Connection
from shared.web.discovery import queue_pages, queue_sitemaps, queued_by
from shared.web.messages import FetchPage, ScrapeMessage
from shared.web.page_end import end_pages
from shared.web.scrape_end import close_if_done, count_work, report_if_due
from shared.web.scrape_models import PageClaim, PageEnd, Stage

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


async def finish_pages(
    connection: Connection, scrape_id: str, ends: Sequence[PageEnd]
) -> list[list[ScrapeMessage] | None]:
    """End pages of one scrape, queue what they led to, and end the scrape with its last page.

    A scrape of which no page was completed has failed, for the reason of its start page.

    Returns:
        For each page the messages to send after the commit; `None` if another claim has it by now.
    """
    lock = await _lock(connection, scrape_id)
    held = await end_pages(connection, scrape_id, ends)
    ended = [end for end, is_held in zip(ends, held, strict=True) if is_held]
    found: dict[str, list[ScrapeMessage]] = {end.claim.url: [] for end in ended}
    if lock.running:
        pages = await queue_pages(connection, ended, lock.room)
        read = sum(end.outcome.bytes for end in ended)
        for message in [*pages, *await queue_sitemaps(connection, ended)]:
            found[message.found_on].append(message.message)
        if await count_work(connection, scrape_id, found=len(pages), read=read):
            found = {url: [] for url in found}
    if ended and not any(found.values()):
        # With new pages in the queue it cannot be the last.
        await close_if_done(connection, scrape_id)
        last = ended[-1].claim
        found[last.url] = await report_if_due(connection, last.tenant_id, scrape_id)
    return [found[end.claim.url] if is_held else None for end, is_held in zip(ends, held, strict=True)]


async def unsent(connection: Connection, message: FetchPage) -> list[ScrapeMessage]:
    """What a page that has ended led to and nobody has taken up: its worker may have died first."""
    messages: list[ScrapeMessage] = [*await queued_by(connection, message)]
    return messages + await report_if_due(connection, message.tenant_id, message.scrape_id)


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
