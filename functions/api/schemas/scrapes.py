"""Scrapes as they are asked for and shown."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from api.schemas.fields import Item, RequestModel, ScrapeId, Text, VectorStoreId
from api.schemas.files import unix
from api.schemas.paging import ListPage, shown
from shared.errors import InvalidRequestError
from shared.postgres.pages import Order, Page, PageRequest
from shared.web.scrape_models import (
    Change,
    CrawlRules,
    NewScrape,
    PageKind,
    PageStatus,
    RecordRules,
    Rendering,
    Scrape,
    ScrapePage,
    ScrapeStatus,
    WebhookStatus,
)
from shared.web.urls import normalise

Url = Annotated[Text, Field(min_length=1, max_length=4096)]
Pattern = Annotated[Text, Field(min_length=1, max_length=500)]
Patterns = Annotated[tuple[Pattern, ...], Field(max_length=50)]


class Webhook(RequestModel):
    """Where to tell that the scrape has ended."""

    url: Url


class ScheduleRequest(RequestModel):
    """When the scrape comes again: cron's five fields, in a time zone of the tz database."""

    cron: Annotated[Text, Field(min_length=9, max_length=200)]
    timezone: Annotated[Text, Field(max_length=64)] = "UTC"


class CreateScrapeRequest(RequestModel):
    """POST /v1/scrapes. It begins with `url`, `urls` and the pages of `sitemap`, at least one of them.

    `depth` of 0 reads these pages alone, 1 also what they link to inside their sites, and so on.
    """

    url: Url | None = None
    urls: Annotated[tuple[Url, ...], Field(max_length=1000)] = ()
    sitemap: Url | None = None
    vector_store_id: VectorStoreId | None = None
    depth: Annotated[int, Field(ge=0)] = 0
    page_limit: Annotated[int, Field(ge=1)] = 100
    byte_limit: Annotated[int, Field(ge=1, le=2**50)] | None = None
    scope: Literal["host", "domain"] = "host"
    include: Patterns = ()
    exclude: Patterns = ()
    render: Literal["auto", "never", "always"] = "auto"
    records: RecordRules | None = None
    webhook: Webhook | None = None
    schedule: ScheduleRequest | None = None

    def new_scrape(self, tenant_id: str, webhook_secret: str | None) -> NewScrape:
        """What is asked for.

        Raises:
            InvalidRequestError: A URL that is none, or no URL at all.
        """
        if not (self.url or self.urls or self.sitemap):
            raise InvalidRequestError("Give 'url', 'urls' or 'sitemap', to begin with.", param="url")
        start_urls = (self.url, *self.urls) if self.url else self.urls
        return NewScrape(
            tenant_id=tenant_id,
            start_urls=tuple(dict.fromkeys(map(normalise, start_urls))),
            sitemaps=(normalise(self.sitemap),) if self.sitemap else (),
            depth_limit=self.depth,
            page_limit=self.page_limit,
            byte_limit=self.byte_limit,
            vector_store_id=self.vector_store_id,
            rules=CrawlRules(
                scope=self.scope,
                include=self.include,
                exclude=self.exclude,
                render=self.render,
                records=self.records,
                webhook_url=normalise(self.webhook.url) if self.webhook else None,
            ),
            webhook_secret=webhook_secret,
        )


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


class RecordQuery(RequestModel):
    """Which pages' records; `after` is a URL."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    after: Annotated[Text, Field(max_length=4096)] | None = None

    @property
    def page_request(self) -> PageRequest:
        """The part that is wanted."""
        return PageRequest(limit=self.limit, order="asc", after=self.after)


class PageCountsObject(BaseModel):
    """Pages by status; `unchanged` of them are as they were when they were last kept."""

    queued: int
    running: int
    completed: int
    skipped: int
    failed: int
    total: int
    unchanged: int


class ScrapeObject(Item):
    """A scrape and how far it is."""

    object: Literal["scrape"] = "scrape"
    created_at: int
    schedule_id: str | None
    url: str
    vector_store_id: str | None
    depth: int
    page_limit: int
    byte_limit: int | None
    bytes_read: int
    scope: Literal["host", "domain"]
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    render: Literal["auto", "never", "always"]
    status: ScrapeStatus
    error: str | None
    webhook_url: str | None
    webhook_status: WebhookStatus | None
    page_counts: PageCountsObject


class NewScrapeObject(ScrapeObject):
    """A scrape that was made now: the only time that the secret of its webhook is shown."""

    webhook_secret: str | None


class ScrapePageObject(Item):
    """One page of a scrape; `reason` says why it was skipped or failed, or, completed, has no records."""

    object: Literal["scrape.page"] = "scrape.page"
    url: str
    kind: PageKind
    depth: int
    found_on: str | None
    status: PageStatus
    change: Change | None
    rendering: Rendering
    similar_to: str | None
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
        schedule_id=scrape.schedule_id,
        url=scrape.start_url,
        vector_store_id=scrape.vector_store_id,
        depth=scrape.depth_limit,
        page_limit=scrape.page_limit,
        byte_limit=scrape.byte_limit,
        bytes_read=scrape.bytes_read,
        scope=scrape.rules.scope,
        include=scrape.rules.include,
        exclude=scrape.rules.exclude,
        render=scrape.rules.render,
        status=scrape.status,
        error=scrape.error_message,
        webhook_url=scrape.rules.webhook_url,
        webhook_status=scrape.webhook_status,
        page_counts=PageCountsObject(
            queued=counts.queued,
            running=counts.running,
            completed=counts.completed,
            skipped=counts.skipped,
            failed=counts.failed,
            total=counts.total,
            unchanged=scrape.unchanged,
        ),
    )


def new_scrape_object(scrape: Scrape, webhook_secret: str | None) -> NewScrapeObject:
    """A scrape as it is shown to who made it."""
    return NewScrapeObject(**dict(scrape_object(scrape)), webhook_secret=webhook_secret)


def scrape_with_pages(scrape: Scrape, pages: Page[ScrapePage]) -> ScrapeWithPages:
    """A scrape as it is shown alone."""
    return ScrapeWithPages(**dict(scrape_object(scrape)), pages=shown(pages, _page_object))


def _page_object(page: ScrapePage) -> ScrapePageObject:
    return ScrapePageObject(
        id=page.url,
        url=page.url,
        kind=page.kind,
        depth=page.depth,
        found_on=page.found_on,
        status=page.status,
        change=page.change,
        rendering=page.rendering,
        similar_to=page.similar_to,
        title=page.title,
        file_id=page.file_id,
        reason=page.error_message,
    )
