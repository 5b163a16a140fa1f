"""What a fetched page becomes: a document to keep, or nothing, records, and the links on it."""

import asyncio
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from shared.charset.decode import decode
from shared.web.answer import Fetched, FetchRefusedError
from shared.web.extract import Page, PageTooLargeError, extract
from shared.web.media import HTML, filename, settle
from shared.web.record_schema import RecordSchema
from shared.web.records import Record, read_records
from shared.web.robots import Directives, read_directives
from shared.web.scrape_models import CrawlRules
from shared.web.scripted import needs_script
from shared.web.skim import skim
from shared.web.soft_errors import says_not_found

MARKDOWN = "text/markdown"

# Longest value of an attribute that OpenAI takes.
_ATTRIBUTE_LENGTH = 512
_TITLE_LENGTH = 100

_NOINDEX = "it asks not to be kept (noindex)"
_NOT_FOUND = "it says that there is no such page"

_NOT_IN_NAMES = re.compile(r'[\\/:*?"<>|\x00-\x1f\x7f]+')


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document that goes to ingestion. `url` is where it was found, after redirects."""

    url: str
    filename: str
    media_type: str
    body: bytes
    title: str | None
    attributes: dict[str, str | float | bool]

    @property
    def sha256(self) -> str:
        """By which it is told that nothing has changed."""
        return hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Harvest:
    """What a page gave. Without a `document`, `reason` says why.

    `links` are all that may be followed, of any site. `withdrawn` says that the page is not to be kept any
    more, if it was; `scripted`, that only a browser would show its text.
    """

    document: Document | None = None
    reason: str | None = None
    links: tuple[str, ...] = ()
    records: tuple[Record, ...] | None = None
    simhash: int | None = None
    withdrawn: bool = False
    scripted: bool = False


async def harvest(fetched: Fetched, *, product: str, rules: CrawlRules) -> Harvest:
    """Read what was fetched; HTML in a thread, because it takes the processor for a while.

    Raises:
        FetchRefusedError: It is neither a page nor a document.
        BadSelectorError: The rules ask for records by a selector that is none.
    """
    media_type = settle(fetched.media_type, fetched.url, fetched.body)
    if media_type is None:
        raise FetchRefusedError(f"{fetched.media_type or 'an unnamed media type'} is not read")
    header = read_directives(fetched.robots, product)
    if media_type == HTML:
        return await asyncio.to_thread(_harvest_page, fetched, header, product, rules)
    if header.noindex:
        return Harvest(reason=_NOINDEX, withdrawn=True)
    return Harvest(document=_file(fetched, media_type))


def _harvest_page(fetched: Fetched, header: Directives, product: str, rules: CrawlRules) -> Harvest:
    try:
        page = extract(fetched.body, url=fetched.url, charset=fetched.charset, product=product)
    except PageTooLargeError:
        return _harvest_large(fetched, header, product)
    links = () if page.directives.nofollow or header.nofollow else page.links
    if page.directives.noindex or header.noindex:
        return Harvest(reason=_NOINDEX, links=links, withdrawn=True)
    scripted = rules.render == "always" or needs_script(fetched.body, page.text or page.markdown)
    if says_not_found(page.title, page.text or page.markdown) and not scripted:
        return Harvest(reason=_NOT_FOUND, withdrawn=True)
    records = None
    if isinstance(rules.records, RecordSchema):
        html = decode(fetched.body, fetched.charset, markup=True).text
        records = read_records(html, rules.records, url=fetched.url)
    if not page.markdown:
        return Harvest(reason="it has no text", links=links, records=records, scripted=scripted)
    document = _markdown(fetched.url, page)
    return Harvest(document=document, links=links, records=records, simhash=page.simhash, scripted=scripted)


def _harvest_large(fetched: Fetched, header: Directives, product: str) -> Harvest:
    """Kept as HTML, which ingestion reads in a sandbox with limits of its own."""
    html = decode(fetched.body, fetched.charset, markup=True).text
    page = skim(html, url=fetched.url, product=product)
    links = () if page.directives.nofollow or header.nofollow else page.links
    if page.directives.noindex or header.noindex:
        return Harvest(reason=_NOINDEX, links=links, withdrawn=True)
    document = Document(
        url=fetched.url,
        filename=_page_name(fetched.url, page.title, ".html"),
        media_type=HTML,
        # The mark outweighs what the page says of its charset.
        body=html.encode("utf-8-sig"),
        title=page.title,
        attributes=_attributes({"source_url": fetched.url, "title": page.title}),
    )
    return Harvest(document=document, links=links)


def _markdown(url: str, page: Page) -> Document:
    described = {
        "source_url": url,
        "title": page.title,
        "author": page.author,
        "language": page.language,
        "published": page.published.isoformat() if page.published else None,
    }
    return Document(
        url=url,
        filename=_page_name(url, page.title, ".md"),
        media_type=MARKDOWN,
        body=page.markdown.encode(),
        title=page.title,
        attributes=_attributes(described),
    )


def _file(fetched: Fetched, media_type: str) -> Document:
    name = filename(media_type, fetched.url, fetched.content_disposition)
    return Document(
        url=fetched.url,
        filename=name,
        media_type=media_type,
        body=fetched.body,
        title=name,
        attributes={"source_url": fetched.url[:_ATTRIBUTE_LENGTH]},
    )


def _attributes(described: Mapping[str, str | None]) -> dict[str, str | float | bool]:
    return {name: value[:_ATTRIBUTE_LENGTH] for name, value in described.items() if value}


def _page_name(url: str, title: str | None, extension: str) -> str:
    """The title as a file name, or else the end of the URL."""
    name = _NOT_IN_NAMES.sub(" ", title or "")[:_TITLE_LENGTH]
    return f"{' '.join(name.split()) or url.rstrip('/').rpartition('/')[2]}{extension}"
