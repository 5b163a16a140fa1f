"""Schedules of scrapes as they are shown."""

from typing import Literal

from api.schemas.fields import Item, ScheduleId
from api.schemas.files import unix
from api.schemas.paging import ListQuery
from shared.web.schedules import Schedule


class ScheduleListQuery(ListQuery):
    """Parameters of the list of schedules."""

    after: ScheduleId | None = None


class ScheduleObject(Item):
    """A scrape that comes again."""

    object: Literal["scrape.schedule"] = "scrape.schedule"
    created_at: int
    cron: str
    timezone: str
    next_run_at: int
    url: str
    vector_store_id: str | None


class DeletedSchedule(Item):
    """A schedule that is gone."""

    object: Literal["scrape.schedule.deleted"] = "scrape.schedule.deleted"
    deleted: Literal[True] = True


def schedule_object(schedule: Schedule) -> ScheduleObject:
    """A schedule as it is shown."""
    template = schedule.template
    return ScheduleObject(
        id=schedule.schedule_id,
        created_at=unix(schedule.created_at),
        cron=schedule.cron,
        timezone=schedule.timezone,
        next_run_at=unix(schedule.next_run_at),
        url=[*template.start_urls, *template.sitemaps][0],
        vector_store_id=template.vector_store_id,
    )
