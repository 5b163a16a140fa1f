"""/v1/scrape_schedules: scrapes that come again, made by `POST /v1/scrapes` with a `schedule`."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.caller import WithCaller, WithServices
from api.schemas.fields import SchedulePath
from api.schemas.paging import ListPage, shown
from api.schemas.scrape_schedules import DeletedSchedule, ScheduleListQuery, ScheduleObject, schedule_object
from shared.web.schedules import delete_schedule, get_schedule, list_schedules

router = APIRouter(prefix="/scrape_schedules")


@router.get("")
async def list_(
    services: WithServices, caller: WithCaller, query: Annotated[ScheduleListQuery, Query()]
) -> ListPage[ScheduleObject]:
    """The tenant's schedules."""
    async with services.database.tenant(caller.tenant_id) as connection:
        page = await list_schedules(connection, query.page_request)
    return shown(page, schedule_object)


@router.get("/{schedule_id}")
async def retrieve(schedule_id: SchedulePath, services: WithServices, caller: WithCaller) -> ScheduleObject:
    """When a scrape comes again."""
    async with services.database.tenant(caller.tenant_id) as connection:
        return schedule_object(await get_schedule(connection, schedule_id))


@router.delete("/{schedule_id}")
async def delete(schedule_id: SchedulePath, services: WithServices, caller: WithCaller) -> DeletedSchedule:
    """Have it not come again; what it has started goes on."""
    async with services.database.tenant(caller.tenant_id) as connection:
        await delete_schedule(connection, schedule_id)
    return DeletedSchedule(id=schedule_id)
