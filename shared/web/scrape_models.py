"""Scrapes and their pages, as values."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from shared.web.filled_schema import FilledSchema
from shared.web.record_schema import RecordSchema

ScrapeStatus = Literal["queued", "running", "completed", "failed", "cancelled"]
PageStatus = Literal["queued", "running", "completed", "skipped", "failed"]
PageKind = Literal["page", "sitemap"]
Stage = Literal["fetch", "render", "rendered"]
Rendering = Literal["none", "needed", "done"]
Change = Literal["new", "changed", "unchanged", "gone"]
WebhookStatus = Literal["waiting", "due", "delivered", "failed"]


def _of_its_kind(value: object) -> object:
    """Told by a field, so that what is wrong with it is said of one kind and not of both."""
    if not isinstance(value, dict):
        return value
    return (FilledSchema if "json_schema" in value else RecordSchema).model_validate(value)


RecordRules = Annotated[RecordSchema | FilledSchema, BeforeValidator(_of_its_kind)]


class CrawlRules(BaseModel):
    """How a crawl goes on from page to page, and what it does with each.

    `scope` keeps it to the host of its start page, or to that host with all below it. A link is followed
    if it matches one of `include`, if there are any, and none of `exclude` (`shared.web.scope`). `render`
    says when a browser reads a page; `records`, what else to take from each; `key_id`, the key whose
    budgets pay where a model takes it. `webhook_url` is told when it has ended.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    scope: Literal["host", "domain"] = "host"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    render: Literal["auto", "never", "always"] = "auto"
    records: RecordRules | None = None
    key_id: str | None = None
    webhook_url: str | None = None


class NewScrape(BaseModel):
    """What the creator of a scrape decides.

    URLs are normalised. `depth_limit` of 0 reads the start pages alone, 1 also what they link to, and so on;
    `page_limit` counts every page that is tried, sitemaps apart; `byte_limit`, bodies as they were read.
    Without `vector_store_id` the pages become files only.
    """

    model_config = ConfigDict(frozen=True)

    tenant_id: str
    start_urls: tuple[str, ...] = ()
    sitemaps: tuple[str, ...] = ()
    depth_limit: int
    page_limit: int
    byte_limit: int | None = None
    vector_store_id: str | None = None
    rules: CrawlRules = CrawlRules()
    webhook_secret: str | None = None


@dataclass(frozen=True, kw_only=True)
class PageCounts:
    """Pages of a scrape by status. Skipped ones were not to be read, failed ones could not be."""

    queued: int = 0
    running: int = 0
    completed: int = 0
    skipped: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        """Pages in any status."""
        return self.queued + self.running + self.completed + self.skipped + self.failed


@dataclass(frozen=True, kw_only=True)
class Scrape:
    """A crawl, with the state of its pages. `error_message` says why it failed."""

    scrape_id: str
    schedule_id: str | None
    vector_store_id: str | None
    start_url: str
    depth_limit: int
    page_limit: int
    byte_limit: int | None
    bytes_read: int
    rules: CrawlRules
    status: ScrapeStatus
    webhook_status: WebhookStatus | None
    error_message: str | None
    page_counts: PageCounts
    unchanged: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class ScrapePage:
    """One page of a scrape, or a sitemap.

    `error_message` says why it was skipped or failed, or why it has no records though it was completed.
    `similar_to` is a page of the scrape that was read before and has nearly the same text.
    """

    url: str
    kind: PageKind
    depth: int
    found_on: str | None
    status: PageStatus
    attempts: int
    rendering: Rendering
    change: Change | None
    similar_to: str | None
    title: str | None
    file_id: str | None
    error_message: str | None
    updated_at: datetime


@dataclass(frozen=True)
class PageRecords:
    """What was taken from one page."""

    url: str
    records: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class PageClaim:
    """The right to work on a page until its lease ends.

    `attempts` counts this one, and tells it from any other: what is done with an older claim changes nothing.
    `site` is what the crawl stays in, as far as its start page is known; `records`, what a model was
    paid for by an earlier claim.
    """

    tenant_id: str
    scrape_id: str
    url: str
    kind: PageKind
    stage: Stage
    depth: int
    attempts: int
    site: str | None
    vector_store_id: str | None
    follows_links: bool
    rules: CrawlRules
    records: tuple[dict[str, Any], ...] | None = None


@dataclass(frozen=True)
class PageBusy:
    """Another worker has the page, for at most so many seconds."""

    seconds: float


@dataclass(frozen=True)
class PageElsewhere:
    """The page waits for another worker: the one of this stage."""

    stage: Stage


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a page led to: URLs to queue as `kind` at `depth`, in a crawl that stays in `site`."""

    urls: tuple[str, ...] = ()
    sitemaps: tuple[str, ...] = ()
    site: str | None = None


NOTHING_FOUND = Findings()


@dataclass(frozen=True, kw_only=True)
class PageOutcome:
    """How a page ended. `bytes` is its size.

    `reason`, for people, says why it was skipped or failed, or why a page that was completed has no records.
    """

    status: Literal["completed", "skipped", "failed"]
    title: str | None = None
    file_id: str | None = None
    reason: str | None = None
    change: Change | None = None
    rendering: Rendering = "none"
    bytes: int = 0
    simhash: int | None = None
    records: tuple[dict[str, Any], ...] | None = None


@dataclass(frozen=True, kw_only=True)
class PageEnd:
    """A page that was claimed, how it ended, and what it led to."""

    claim: PageClaim
    outcome: PageOutcome
    findings: Findings = NOTHING_FOUND
