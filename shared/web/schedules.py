"""Scrapes that come again, by cron. Each function runs in a transaction of the tenant.

A run looks at the start pages and at every page that the run before has kept, so that it finds what is gone.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from shared.errors import InvalidRequestError, NotFoundError
from shared.postgres.database import Connection
from shared.postgres.pages import Page, PageRequest, fetch_page
from shared.web.messages import FetchPage
from shared.web.scrape_models import NewScrape
from shared.web.scrapes import create_scrape, first_messages


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When a scrape comes again. `template` is what it does each time."""

    schedule_id: str
    cron: str
    timezone: str
    template: NewScrape
    next_run_at: datetime
    created_at: datetime


def next_run(cron: str, timezone: str, after: datetime) -> datetime:
    """The first time after `after` that a cron expression of five fields names, in a time zone.

    Raises:
        InvalidRequestError: No such expression, or no such time zone.
    """
    from cronsim import CronSim, CronSimError

    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidRequestError(
            f"{timezone!r} is no time zone, such as 'Europe/Berlin'.", param="schedule.timezone"
        ) from None
    try:
        times: Iterator[datetime] = CronSim(cron, after.astimezone(zone))
        return next(times)
    except (CronSimError, StopIteration):
        raise InvalidRequestError(
            f"{cron!r} names no time; a schedule is minute, hour, day of month, month and day of week,"
            " as in '0 3 * * 1'.",
            param="schedule.cron",
        ) from None


async def create_schedule(
    connection: Connection, template: NewScrape, *, cron: str, timezone: str, now: datetime
) -> Schedule:
    """Have a scrape run again at the times of `cron`.

    Raises:
        InvalidRequestError: As `next_run`.
    """
    cursor = await connection.execute(
        """
        INSERT INTO scrape_schedules
            (tenant_id, schedule_id, cron, timezone, template, next_run_at, created_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s)
        RETURNING *
        """,
        (
            template.tenant_id,
            f"schedule_{int(now.timestamp() * 1000):012x}{secrets.token_hex(10)}",
            cron,
            timezone,
            Jsonb(template.model_dump(exclude={"tenant_id"}, exclude_defaults=True)),
            next_run(cron, timezone, now),
            now,
        ),
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - INSERT ... RETURNING always answers
    return _schedule(row)


async def list_schedules(connection: Connection, request: PageRequest) -> Page[Schedule]:
    """One page of the tenant's schedules, by age."""
    return await fetch_page(
        connection,
        "SELECT * FROM scrape_schedules WHERE true",
        id_column="schedule_id",
        request=request,
        parameters={},
        make=_schedule,
    )


async def get_schedule(connection: Connection, schedule_id: str) -> Schedule:
    """One schedule.

    Raises:
        NotFoundError: The tenant has no such schedule.
    """
    cursor = await connection.execute("SELECT * FROM scrape_schedules WHERE schedule_id = %s", (schedule_id,))
    if (row := await cursor.fetchone()) is None:
        raise _no_such_schedule(schedule_id)
    return _schedule(row)


async def delete_schedule(connection: Connection, schedule_id: str) -> None:
    """Delete a schedule; scrapes that it has started go on.

    Raises:
        NotFoundError: The tenant has no such schedule.
    """
    cursor = await connection.execute("DELETE FROM scrape_schedules WHERE schedule_id = %s", (schedule_id,))
    if not cursor.rowcount:
        raise _no_such_schedule(schedule_id)


async def start_due(connection: Connection, now: datetime, *, limit: int) -> list[FetchPage]:
    """Start every scrape whose time has come; one whose run before still goes on waits for its next time.

    Returns:
        The messages to send after the commit.
    """
    cursor = await connection.execute(
        """
        SELECT * FROM scrape_schedules WHERE next_run_at <= %s
        ORDER BY next_run_at LIMIT %s FOR UPDATE SKIP LOCKED
        """,
        (now, limit),
    )
    messages: list[FetchPage] = []
    for schedule in map(_schedule, await cursor.fetchall()):
        await connection.execute(
            "UPDATE scrape_schedules SET next_run_at = %s WHERE schedule_id = %s",
            (next_run(schedule.cron, schedule.timezone, now), schedule.schedule_id),
        )
        messages += await _start(connection, schedule, now)
    return messages


async def _start(connection: Connection, schedule: Schedule, now: datetime) -> list[FetchPage]:
    cursor = await connection.execute(
        """
        SELECT scrape_id, status FROM scrapes WHERE schedule_id = %s ORDER BY scrape_id DESC LIMIT 1
        """,
        (schedule.schedule_id,),
    )
    before = await cursor.fetchone()
    if before is not None and before["status"] in ("queued", "running"):
        return []
    scrape = await create_scrape(connection, schedule.template, now, schedule_id=schedule.schedule_id)
    if before is not None:
        await _look_again(connection, scrape.scrape_id, before["scrape_id"])
    return await first_messages(connection, schedule.template.tenant_id, scrape.scrape_id)


async def _look_again(connection: Connection, scrape_id: str, before: str) -> None:
    """Queue what the run before has kept, as far as the limit allows."""
    cursor = await connection.execute(
        """
        INSERT INTO scrape_pages (tenant_id, scrape_id, url, depth, site, status)
        SELECT p.tenant_id, s.scrape_id, p.url, p.depth, p.site, 'queued'
        FROM scrape_pages p
        JOIN scrapes s ON s.tenant_id = p.tenant_id AND s.scrape_id = %(scrape_id)s
        WHERE p.scrape_id = %(before)s AND p.kind = 'page' AND p.file_id IS NOT NULL
          AND NOT EXISTS (
              SELECT FROM scrape_pages known WHERE known.scrape_id = %(scrape_id)s AND known.url = p.url)
        ORDER BY p.depth, p.url
        LIMIT (SELECT page_limit - page_count FROM scrapes WHERE scrape_id = %(scrape_id)s)
        """,
        {"scrape_id": scrape_id, "before": before},
    )
    await connection.execute(
        "UPDATE scrapes SET page_count = page_count + %s WHERE scrape_id = %s", (cursor.rowcount, scrape_id)
    )


def _no_such_schedule(schedule_id: str) -> NotFoundError:
    return NotFoundError(f"No such schedule: {schedule_id!r}.", param="schedule_id")


def _schedule(row: DictRow) -> Schedule:
    return Schedule(
        schedule_id=row["schedule_id"],
        cron=row["cron"],
        timezone=row["timezone"],
        template=NewScrape.model_validate({**row["template"], "tenant_id": row["tenant_id"]}),
        next_run_at=row["next_run_at"],
        created_at=row["created_at"],
    )
