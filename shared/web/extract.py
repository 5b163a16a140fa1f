"""From HTML to Markdown: the main content of a page, its links, and what it says of itself.

trafilatura, lxml and numpy are imported when the first page is read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from shared.charset.decode import decode
from shared.errors import InvalidRequestError
from shared.web.robots import Directives, read_directives
from shared.web.simhash import simhash
from shared.web.urls import normalise, resolve, same_site

if TYPE_CHECKING:
    from lxml.html import HtmlElement

# Signs of tags, and characters of text, of the largest page that is read. More would take 4 s, or 250 MB.
# Of 1,497 pages of the web the fullest has 22,000 tags.
_TAGS = 60_000
_TEXT = 1_000_000

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
_TITLE_LENGTH = 300
_HEADING = re.compile(r"#{1,6} +(.+)")
_MARKS = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|[*`]+")


class PageTooLargeError(Exception):
    """To choose the content of the page would take too long, or too much memory."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page as Weir keeps it.

    `markdown` begins with `# title` when there is a title, has links and images, and is "" when the page has
    no text; `text` is the words of its main content alone, and `simhash` the hash of them, by which
    near-duplicates are told (`shared.web.simhash`). `links` are normalised, each once, in the order of the
    page, without those marked nofollow. `canonical_url` is one of the same site; `language`, a tag as in BCP
    47; `published`, the day. `author`, `description` and `site_name` are as the page's JSON-LD, OpenGraph or
    meta tags say.
    """

    title: str | None
    markdown: str
    text: str = ""
    links: tuple[str, ...]
    canonical_url: str | None
    language: str | None
    published: date | None
    directives: Directives
    author: str | None = None
    description: str | None = None
    site_name: str | None = None
    simhash: int | None = None


def extract(body: bytes, *, url: str, charset: str | None, product: str) -> Page:
    """Read one HTML page. CPU-bound: some 60 ms for a page of ordinary size.

    Args:
        url: Where it was fetched, for relative links.
        charset: The label of the `Content-Type` header.
        product: The robot's name, for `<meta>` tags that speak to it.

    Raises:
        PageTooLargeError: It has over 60,000 tags or 1,000,000 characters of text. `shared.web.skim` can.
    """
    from shared.web.extraction.content import main_content
    from shared.web.extraction.described import describe

    tree = _tree(body, charset)
    if tree is None:
        return _empty()
    _make_absolute(tree, _base(tree, url))
    links = tuple(dict.fromkeys(_links(tree)))
    described = describe(tree, url)
    content = main_content(tree)
    title, markdown = _titled(described.title, content.markdown)
    return Page(
        title=title,
        markdown=markdown,
        text=content.text,
        links=links,
        canonical_url=_canonical(tree, url),
        language=_language(tree),
        published=_day(described.date),
        directives=read_directives(_robots_metas(tree, product), product),
        author=_clean(described.author or "") or None,
        description=_clean(described.description or "") or None,
        site_name=_clean(described.site_name or "") or None,
        simhash=simhash(content.words),
    )


def _tree(body: bytes, charset: str | None) -> "HtmlElement | None":
    from shared.web.extraction.parse import parse

    if body.count(b"<") > _TAGS:
        raise PageTooLargeError
    tree = parse(decode(body, charset, markup=True).text)
    # A character has at least a byte, so most pages need not be counted.
    if tree is not None and len(body) > _TEXT and _text_length(tree) > _TEXT:
        raise PageTooLargeError
    return tree


def _text_length(tree: "HtmlElement") -> int:
    """Characters of text; scripts and styles are none."""
    return sum(
        (0 if element.tag in ("script", "style") else len(element.text or "")) + len(element.tail or "")
        for element in tree.iter("*")
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
        return resolve(url, href)
    except ValueError:
        return ""


def _make_absolute(tree: "HtmlElement", base: str) -> None:
    """As lxml's `make_links_absolute`, which takes longer: it looks at every attribute of a page."""
    for element in tree.iter("a", "area", "img", "link"):
        for attribute in ("href", "src", "data-src"):
            target = element.get(attribute)
            if target is not None and not target.startswith(("http://", "https://", "data:")):
                element.set(attribute, _joined(base, target.strip()) or target)


def _links(tree: "HtmlElement") -> Iterator[str]:
    anchors = ((anchor, anchor.get("href")) for anchor in tree.iter("a", "area"))
    followed = (
        href
        for anchor, href in anchors
        if href and "nofollow" not in (anchor.get("rel") or "").lower().split()
    )
    for href in dict.fromkeys(followed):
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
    words = _clean(_MARKS.sub(r"\1", heading[1])) if heading else ""
    if words and (first.startswith("# ") or words.casefold() == (title or "").casefold()):
        return words, f"# {words}\n{rest}"
    return title, f"# {title}\n\n{text}" if title else text


def _clean(title: str) -> str:
    words = " ".join(title.split())
    return "".join(character for character in words if character.isprintable())[:_TITLE_LENGTH]


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None
