"""Scrapes as they are asked for."""

from typing import Annotated, Literal

from pydantic import Field

from api.schemas.fields import RequestModel, ScrapeId, Text, VectorStoreId
from api.schemas.paging import ListQuery
from shared.errors import InvalidRequestError
from shared.postgres.pages import Order, PageRequest
from shared.web.scrape_models import CrawlRules, NewScrape, PageStatus, RecordRules
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


class ScrapeListQuery(ListQuery):
    """Parameters of the list of scrapes."""

    after: ScrapeId | None = None


class PageListQuery(ListQuery):
    """Parameters of the pages in a scrape; `after` is a URL."""

    limit: Annotated[int, Field(ge=1, le=500)] = 100
    order: Order = "asc"
    after: Annotated[Text, Field(max_length=4096)] | None = None
    filter: PageStatus | None = None


class RecordQuery(RequestModel):
    """Which pages' records; `after` is a URL."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    after: Annotated[Text, Field(max_length=4096)] | None = None

    @property
    def page_request(self) -> PageRequest:
        """The part that is wanted."""
        return PageRequest(limit=self.limit, order="asc", after=self.after)
