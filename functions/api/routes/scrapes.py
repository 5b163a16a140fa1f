"""/v1/scrapes."""

import json
from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.caller import WithCaller, WithServices
from api.record_model import with_record_model
from api.schemas.fields import ScrapePath
from api.schemas.paging import ListPage, shown
from api.schemas.scrape_requests import CreateScrapeRequest, PageListQuery, RecordQuery, ScrapeListQuery
from api.schemas.scrapes import (
    NewScrapeObject,
    ScrapeObject,
    ScrapeWithPages,
    new_scrape_object,
    scrape_object,
    scrape_with_pages,
)
from api.settings import LimitSettings
from shared.errors import InvalidRequestError
from shared.knowledge.stores import get_store
from shared.web.schedules import create_schedule
from shared.web.scrape_end import report_if_due
from shared.web.scrape_models import NewScrape
from shared.web.scrapes import (
    cancel_scrape,
    create_scrape,
    first_messages,
    get_scrape,
    list_pages,
    list_records,
    list_scrapes,
)
from shared.web.webhook import new_secret

router = APIRouter(prefix="/scrapes")


@router.post("")
async def create(body: CreateScrapeRequest, services: WithServices, caller: WithCaller) -> NewScrapeObject:
    """Start to read pages, or sites from a page on, into files and, if one is named, a vector store."""
    secret = new_secret() if body.webhook else None
    new = with_record_model(body.new_scrape(caller.tenant_id, secret), services.models, caller)
    _check_limits(new, services.limits)
    now = services.clock()
    async with services.database.tenant(caller.tenant_id) as connection:
        if new.vector_store_id is not None:
            await get_store(connection, new.vector_store_id)
        schedule_id = None
        if (asked := body.schedule) is not None:
            schedule = await create_schedule(
                connection, new, cron=asked.cron, timezone=asked.timezone, now=now
            )
            schedule_id = schedule.schedule_id
        scrape = await create_scrape(connection, new, now, schedule_id=schedule_id)
        messages = await first_messages(connection, caller.tenant_id, scrape.scrape_id)
    await services.scraping.send(messages)
    return new_scrape_object(scrape, secret)


@router.get("")
async def list_(
    services: WithServices, caller: WithCaller, query: Annotated[ScrapeListQuery, Query()]
) -> ListPage[ScrapeObject]:
    """The tenant's scrapes."""
    async with services.database.tenant(caller.tenant_id) as connection:
        page = await list_scrapes(connection, query.page_request)
    return shown(page, scrape_object)


@router.get("/{scrape_id}")
async def retrieve(
    scrape_id: ScrapePath,
    services: WithServices,
    caller: WithCaller,
    query: Annotated[PageListQuery, Query()],
) -> ScrapeWithPages:
    """How far a scrape is, and a part of its pages."""
    async with services.database.tenant(caller.tenant_id) as connection:
        scrape = await get_scrape(connection, scrape_id)
        pages = await list_pages(connection, scrape_id, query.page_request, status=query.filter)
    return scrape_with_pages(scrape, pages)


@router.get("/{scrape_id}/records")
async def records(
    scrape_id: ScrapePath, services: WithServices, caller: WithCaller, query: Annotated[RecordQuery, Query()]
) -> Response:
    """The records that were taken from the scrape's pages, as JSON Lines; each says of which `url` it is.

    Where there are more, the header `x-weir-after` has the URL to pass as `after`.
    """
    async with services.database.tenant(caller.tenant_id) as connection:
        await get_scrape(connection, scrape_id)
        page = await list_records(connection, scrape_id, query.page_request)
    lines = [
        json.dumps({"url": item.url, **record}, ensure_ascii=False) + "\n"
        for item in page.items
        for record in item.records
    ]
    after = {"x-weir-after": page.items[-1].url} if page.has_more else {}
    return Response("".join(lines), media_type="application/jsonl", headers=after)


@router.post("/{scrape_id}/cancel")
async def cancel(scrape_id: ScrapePath, services: WithServices, caller: WithCaller) -> ScrapeObject:
    """Stop a scrape; pages that were read stay."""
    async with services.database.tenant(caller.tenant_id) as connection:
        scrape = await cancel_scrape(connection, scrape_id)
        messages = await report_if_due(connection, caller.tenant_id, scrape_id)
    await services.scraping.send(messages)
    return scrape_object(scrape)


def _check_limits(new: NewScrape, limits: LimitSettings) -> None:
    for param, asked, limit in (
        ("depth", new.depth_limit, limits.scrape_depth_limit),
        ("page_limit", new.page_limit, limits.scrape_page_limit),
        ("urls", len(new.start_urls), new.page_limit),
    ):
        if asked > limit:
            raise InvalidRequestError(f"Invalid '{param}': at most {limit}, not {asked}.", param=param)
