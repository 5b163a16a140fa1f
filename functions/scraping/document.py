"""What a fetched page becomes: a document to keep, or nothing, and the links on it."""

import asyncio
import re
from dataclasses import dataclass

from shared.web.answer import Fetched, FetchRefusedError
from shared.web.extract import Page, extract
from shared.web.media import HTML, filename, may_be_wanted, settle
from shared.web.robots import Directives, read_directives
from shared.web.urls import same_site

# Longest value of an attribute that OpenAI takes.
_ATTRIBUTE_LENGTH = 512
_TITLE_LENGTH = 100

_NOINDEX = "it asks not to be kept (noindex)"

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


@dataclass(frozen=True, kw_only=True)
class Harvest:
    """What a page gave. Without a `document`, `reason` says why; `links` stay in its site."""

    document: Document | None = None
    reason: str | None = None
    links: tuple[str, ...] = ()


async def harvest(fetched: Fetched, *, product: str) -> Harvest:
    """Read what was fetched; HTML in a thread, because it takes the processor for a while.

    Raises:
        FetchRefusedError: It is neither a page nor a document.
    """
    media_type = settle(fetched.media_type, fetched.url, fetched.body)
    if media_type is None:
        raise FetchRefusedError(f"{fetched.media_type or 'an unnamed media type'} is not read")
    header = read_directives(fetched.robots, product)
    if media_type != HTML:
        return Harvest(reason=_NOINDEX) if header.noindex else Harvest(document=_file(fetched, media_type))
    page = await asyncio.to_thread(
        extract, fetched.body, url=fetched.url, charset=fetched.charset, product=product
    )
    return _harvest_page(fetched.url, page, header)


def _harvest_page(url: str, page: Page, header: Directives) -> Harvest:
    followed = not (page.directives.nofollow or header.nofollow)
    links = tuple(link for link in page.links if followed and same_site(link, url) and may_be_wanted(link))
    if page.directives.noindex or header.noindex:
        return Harvest(reason=_NOINDEX, links=links)
    if not page.markdown:
        return Harvest(reason="it has no text", links=links)
    return Harvest(document=_markdown(url, page), links=links)


def _markdown(url: str, page: Page) -> Document:
    described = {
        "source_url": url,
        "title": page.title,
        "language": page.language,
        "published": page.published.isoformat() if page.published else None,
    }
    return Document(
        url=url,
        filename=_page_name(url, page.title),
        media_type="text/markdown",
        body=page.markdown.encode(),
        title=page.title,
        attributes={name: value[:_ATTRIBUTE_LENGTH] for name, value in described.items() if value},
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


def _page_name(url: str, title: str | None) -> str:
    """The title as a file name, or else the end of the URL."""
    name = _NOT_IN_NAMES.sub(" ", title or "")[:_TITLE_LENGTH]
    return f"{' '.join(name.split()) or url.rstrip('/').rpartition('/')[2]}.md"
