"""/v1/scrapes."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.caller import WithCaller, WithServices
from api.schemas.fields import ScrapePath
from api.schemas.paging import ListPage, shown
from api.schemas.scrapes import (
    CreateScrapeRequest,
    PageListQuery,
    ScrapeListQuery,
    ScrapeObject,
    ScrapeWithPages,
    scrape_object,
    scrape_with_pages,
)
from api.settings import LimitSettings
from shared.errors import InvalidRequestError
from shared.knowledge.stores import get_store
from shared.web.messages import FetchPage
from shared.web.scrape_models import NewScrape
from shared.web.scrapes import cancel_scrape, create_scrape, get_scrape, list_pages, list_scrapes
from shared.web.urls import normalise

router = APIRouter(prefix="/scrapes")


@router.post("")
async def create(body: CreateScrapeRequest, services: WithServices, caller: WithCaller) -> ScrapeObject:
    """Start to read a page, or a site from a page on, into files and, if one is named, a vector store."""
    _check_limits(body, services.limits)
    new = NewScrape(
        tenant_id=caller.tenant_id,
        start_url=normalise(body.url),
        depth_limit=body.depth,
        page_limit=body.page_limit,
        vector_store_id=body.vector_store_id,
    )
    async with services.database.tenant(caller.tenant_id) as connection:
        if new.vector_store_id is not None:
            await get_store(connection, new.vector_store_id)
        scrape = await create_scrape(connection, new, services.clock())
    first = FetchPage(tenant_id=caller.tenant_id, scrape_id=scrape.scrape_id, url=new.start_url, depth=0)
    await services.scraping.send([first])
    return scrape_object(scrape)


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


@router.post("/{scrape_id}/cancel")
async def cancel(scrape_id: ScrapePath, services: WithServices, caller: WithCaller) -> ScrapeObject:
    """Stop a scrape; pages that were read stay."""
    async with services.database.tenant(caller.tenant_id) as connection:
        return scrape_object(await cancel_scrape(connection, scrape_id))


def _check_limits(body: CreateScrapeRequest, limits: LimitSettings) -> None:
    for param, asked, limit in (
        ("depth", body.depth, limits.scrape_depth_limit),
        ("page_limit", body.page_limit, limits.scrape_page_limit),
    ):
        if asked > limit:
            raise InvalidRequestError(f"Invalid '{param}': at most {limit}, not {asked}.", param=param)
