"""Schedules of scrapes as they are shown."""

from typing import Annotated, Literal

from pydantic import Field

from api.schemas.fields import Item, RequestModel, ScheduleId
from api.schemas.files import unix
from shared.postgres.pages import Order, PageRequest
from shared.web.schedules import Schedule


class ScheduleListQuery(RequestModel):
    """Parameters of the list of schedules."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Order = "desc"
    after: ScheduleId | None = None

    @property
    def page_request(self) -> PageRequest:
        """The part that is wanted."""
        return PageRequest(limit=self.limit, order=self.order, after=self.after)


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
