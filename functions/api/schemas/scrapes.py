"""Scrapes as they are asked for and shown."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from api.schemas.fields import Item, RequestModel, ScrapeId, Text, VectorStoreId
from api.schemas.files import unix
from api.schemas.paging import ListPage, shown
from shared.postgres.pages import Order, Page, PageRequest
from shared.web.scrape_models import PageStatus, Scrape, ScrapePage, ScrapeStatus


class CreateScrapeRequest(RequestModel):
    """POST /v1/scrapes. `depth` of 0 reads the start page alone, 1 also what it links to inside its site."""

    url: Annotated[Text, Field(min_length=1, max_length=4096)]
    vector_store_id: VectorStoreId | None = None
    depth: Annotated[int, Field(ge=0)] = 0
    page_limit: Annotated[int, Field(ge=1)] = 100


class ScrapeListQuery(RequestModel):
    """Parameters of the list of scrapes."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Order = "desc"
    after: ScrapeId | None = None

    @property
    def page_request(self) -> PageRequest:
        """The part that is wanted."""
        return PageRequest(limit=self.limit, order=self.order, after=self.after)


class PageListQuery(RequestModel):
    """Parameters of the pages in a scrape; `after` is a URL."""

    limit: Annotated[int, Field(ge=1, le=500)] = 100
    order: Order = "asc"
    after: Annotated[Text, Field(max_length=4096)] | None = None
    filter: PageStatus | None = None

    @property
    def page_request(self) -> PageRequest:
        """The part that is wanted."""
        return PageRequest(limit=self.limit, order=self.order, after=self.after)


class PageCountsObject(BaseModel):
    """Pages by status."""

    queued: int
    running: int
    completed: int
    skipped: int
    failed: int
    total: int


class ScrapeObject(Item):
    """A scrape and how far it is."""

    object: Literal["scrape"] = "scrape"
    created_at: int
    url: str
    vector_store_id: str | None
    depth: int
    page_limit: int
    status: ScrapeStatus
    error: str | None
    page_counts: PageCountsObject


class ScrapePageObject(Item):
    """One page of a scrape; `reason` says why it was skipped or failed."""

    object: Literal["scrape.page"] = "scrape.page"
    url: str
    depth: int
    found_on: str | None
    status: PageStatus
    title: str | None
    file_id: str | None
    reason: str | None


class ScrapeWithPages(ScrapeObject):
    """A scrape with a part of its pages, by URL."""

    pages: ListPage[ScrapePageObject]


def scrape_object(scrape: Scrape) -> ScrapeObject:
    """A scrape as it is shown."""
    counts = scrape.page_counts
    return ScrapeObject(
        id=scrape.scrape_id,
        created_at=unix(scrape.created_at),
        url=scrape.start_url,
        vector_store_id=scrape.vector_store_id,
        depth=scrape.depth_limit,
        page_limit=scrape.page_limit,
        status=scrape.status,
        error=scrape.error_message,
        page_counts=PageCountsObject(
            queued=counts.queued,
            running=counts.running,
            completed=counts.completed,
            skipped=counts.skipped,
            failed=counts.failed,
            total=counts.total,
        ),
    )


def scrape_with_pages(scrape: Scrape, pages: Page[ScrapePage]) -> ScrapeWithPages:
    """A scrape as it is shown alone."""
    return ScrapeWithPages(**dict(scrape_object(scrape)), pages=shown(pages, _page_object))


def _page_object(page: ScrapePage) -> ScrapePageObject:
    return ScrapePageObject(
        id=page.url,
        url=page.url,
        depth=page.depth,
        found_on=page.found_on,
        status=page.status,
        title=page.title,
        file_id=page.file_id,
        reason=page.error_message,
    )
