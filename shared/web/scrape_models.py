"""Scrapes and their pages, as values."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

ScrapeStatus = Literal["queued", "running", "completed", "failed", "cancelled"]
PageStatus = Literal["queued", "running", "completed", "skipped", "failed"]


@dataclass(frozen=True, kw_only=True)
class NewScrape:
    """What the creator of a scrape decides.

    `start_url` is normalised. `depth_limit` of 0 reads the start page alone, 1 also what it links to, and so
    on; `page_limit` counts every page that is tried. Without `vector_store_id` the pages become files only.
    """

    tenant_id: str
    start_url: str
    depth_limit: int
    page_limit: int
    vector_store_id: str | None = None


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
    """A crawl inside one site, with the state of its pages. `error_message` says why it failed."""

    scrape_id: str
    vector_store_id: str | None
    start_url: str
    depth_limit: int
    page_limit: int
    status: ScrapeStatus
    error_message: str | None
    page_counts: PageCounts
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class ScrapePage:
    """One page of a scrape. `error_message` says why it was skipped or failed."""

    url: str
    depth: int
    found_on: str | None
    status: PageStatus
    attempts: int
    title: str | None
    file_id: str | None
    error_message: str | None
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class PageClaim:
    """The right to work on a page until its lease ends.

    `attempts` counts this one, and tells it from any other: what is done with an older claim changes nothing.
    """

    tenant_id: str
    scrape_id: str
    url: str
    depth: int
    attempts: int
    vector_store_id: str | None
    follows_links: bool


@dataclass(frozen=True)
class PageBusy:
    """Another worker has the page, for at most so many seconds."""

    seconds: float


@dataclass(frozen=True, kw_only=True)
class PageOutcome:
    """How a page ended. `reason`, for people, says why it was skipped or failed."""

    status: Literal["completed", "skipped", "failed"]
    title: str | None = None
    file_id: str | None = None
    reason: str | None = None
