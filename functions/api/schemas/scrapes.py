"""Scrapes as they are shown."""

from typing import Literal

from pydantic import BaseModel

from api.schemas.fields import Item
from api.schemas.files import unix
from api.schemas.paging import ListPage, shown
from shared.postgres.pages import Page
from shared.web.scrape_models import (
    Change,
    PageKind,
    PageStatus,
    Rendering,
    Scrape,
    ScrapePage,
    ScrapeStatus,
    WebhookStatus,
)


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
