"""Webhooks that are due: taken, delivered, given up. Each function runs in a transaction of the tenant."""

from typing import Literal

from shared.postgres.database import Connection
from shared.web.messages import ReportScrape
from shared.web.scrapes import get_scrape
from shared.web.webhook import Report, report


async def take_report(connection: Connection, message: ReportScrape) -> Report | None:
    """What to deliver; `None` if it was, or if another message has this attempt."""
    cursor = await connection.execute(
        """
        UPDATE scrapes SET webhook_attempts = webhook_attempts + 1, updated_at = now()
        WHERE scrape_id = %s AND webhook_status = 'due' AND webhook_attempts = %s
        RETURNING webhook_secret
        """,
        (message.scrape_id, message.attempt),
    )
    if (row := await cursor.fetchone()) is None:
        return None
    return report(await get_scrape(connection, message.scrape_id), row["webhook_secret"] or "")


async def settle_report(
    connection: Connection, scrape_id: str, status: Literal["delivered", "failed"]
) -> None:
    """Note that a report has come through, or that it never will."""
    await connection.execute(
        "UPDATE scrapes SET webhook_status = %s WHERE scrape_id = %s AND webhook_status = 'due'",
        (status, scrape_id),
    )
