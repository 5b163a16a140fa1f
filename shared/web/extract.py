"""From HTML to Markdown: the main content of a page, its links, and what it says of itself.

trafilatura finds the main content; it and lxml are imported when the first page is read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from shared.errors import InvalidRequestError
from shared.web.charset import decode
from shared.web.robots import Directives, read_directives
from shared.web.urls import normalise, same_site

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
_TITLE_LENGTH = 300
_HEADING = re.compile(r"#{1,6} +(.+)")


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page as Weir keeps it.

    `markdown` begins with `# title` when there is a title, and is "" when the page has no text. `links` are
    normalised, each once, in the order of the page, without those marked nofollow. `canonical_url` is one of
    the same site; `language`, a tag as in BCP 47; `published`, the day.
    """

    title: str | None
    markdown: str
    links: tuple[str, ...]
    canonical_url: str | None
    language: str | None
    published: date | None
    directives: Directives


def extract(body: bytes, *, url: str, charset: str | None, product: str) -> Page:
    """Read one HTML page. CPU-bound: some 50 ms for a page of ordinary size.

    Args:
        url: Where it was fetched, for relative links.
        charset: The label of the `Content-Type` header.
        product: The robot's name, for `<meta>` tags that speak to it.
    """
    from trafilatura import extract as extract_text
    from trafilatura import load_html
    from trafilatura.metadata import extract_metadata

    tree = load_html(decode(body, charset).text)
    if tree is None:
        return _empty()
    tree.make_links_absolute(_base(tree, url), resolve_base_href=False, handle_failures="ignore")
    links = tuple(dict.fromkeys(_links(tree)))
    canonical_url, language = _canonical(tree, url), _language(tree)
    directives = read_directives(_robots_metas(tree, product), product)
    # A date is taken where the page states one; guessing it from the text can take seconds.
    described = extract_metadata(tree, default_url=url, extensive=False)
    # Of links the words: their targets would stand among the words that search counts and embeds.
    text = extract_text(tree, url=url, output_format="markdown", include_comments=False)
    title, markdown = _titled(described.title, (text or "").strip())
    return Page(
        title=title,
        markdown=markdown,
        links=links,
        canonical_url=canonical_url,
        language=language,
        published=_day(described.date),
        directives=directives,
    )


def _empty() -> Page:
    return Page(
        title=None,
        markdown="",
        links=(),
        canonical_url=None,
        language=None,
        published=None,
        directives=Directives(),
    )


def _base(tree: "HtmlElement", url: str) -> str:
    """What links are relative to. Bad `<base>` tags make libraries stumble, so all are taken out."""
    bases = [base.get("href") or "" for base in tree.iter("base")]
    for base in list(tree.iter("base")):
        base.drop_tag()
    return next((absolute for base in bases for absolute in _normalised(_joined(url, base))), url)


def _joined(url: str, href: str) -> str:
    try:
        return urljoin(url, href)
    except ValueError:
        return ""


def _links(tree: "HtmlElement") -> Iterator[str]:
    for anchor in tree.iter("a", "area"):
        href = anchor.get("href")
        if href and "nofollow" not in (anchor.get("rel") or "").lower().split():
            yield from _normalised(href)


def _canonical(tree: "HtmlElement", url: str) -> str | None:
    for link in tree.iter("link"):
        if "canonical" in (link.get("rel") or "").lower().split():
            for canonical in _normalised(link.get("href") or ""):
                return canonical if same_site(canonical, url) else None
    return None


def _normalised(href: str) -> Iterator[str]:
    """The URL, if it is one that can be fetched: not `mailto:`, not broken."""
    try:
        yield normalise(href)
    except InvalidRequestError:
        return


def _language(tree: "HtmlElement") -> str | None:
    tag = (tree.get("lang") or "").strip()
    return tag if _LANGUAGE.fullmatch(tag) else None


def _robots_metas(tree: "HtmlElement", product: str) -> Iterator[str]:
    for meta in tree.iter("meta"):
        if (meta.get("name") or "").strip().lower() in ("robots", product.lower()):
            yield meta.get("content") or ""


def _titled(title: str | None, text: str) -> tuple[str | None, str]:
    """The title, and the text with it as its first heading; a heading that the text has already is kept."""
    title = _clean(title or "") or None
    first, _, rest = text.partition("\n")
    heading = _HEADING.fullmatch(first)
    if not text or (title is None and heading is None):
        return title, text
    if heading and (first.startswith("# ") or heading[1].casefold() == (title or "").casefold()):
        return _clean(heading[1]), f"# {heading[1]}\n{rest}"
    return title, f"# {title}\n\n{text}" if title else text


def _clean(title: str) -> str:
    words = " ".join(title.split())
    return "".join(character for character in words if character.isprintable())[:_TITLE_LENGTH]


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None
