"""What a page says of itself in its tags, and who its byline names.

trafilatura's `extract_metadata` without categories, tags and the licence, which nobody wants here and which
take it a quarter of its time.
"""

from dataclasses import dataclass
from typing import Final

from courlan import extract_domain
from htmldate import find_date
from lxml.html import HtmlElement
from trafilatura.metadata import (
    examine_meta,
    extract_author,
    extract_meta_json,
    extract_sitename,
    extract_title,
    extract_url,
)
from trafilatura.settings import Document, set_date_params

from shared.telemetry import logger

_log = logger("extraction")

# What the expressions of trafilatura's `AUTHOR_XPATHS` ask for. Most pages have nothing of it, and are spared
# these, which take 14 ms.
_BYLINES: Final[dict[str, tuple[str, ...]]] = {
    "class": (
        "uthor", "yline", "byl", "BBL", "username", "channel-name", "zuozhe", "bianji", "xiaobian",
        "submitted-by", "posted-by", "journalist-name", "screenname", "writer",
    ),
    "id": ("uthor", "zuozhe", "bianji", "xiaobian"),
    "itemprop": ("author",),
    "rel": ("author",),
    "data-testid": ("Author",),
    "data-component": ("Byline",),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Described:
    """As the page has it, but for entities and spaces; None for what it does not say. `date`: YYYY-MM-DD."""

    title: str | None
    author: str | None
    date: str | None
    description: str | None
    site_name: str | None


def describe(tree: HtmlElement, url: str) -> Described:
    """Read JSON-LD, OpenGraph and `<meta>`; what they leave open, from the page itself.

    Args:
        url: Where it was fetched, for dates in addresses.
    """
    said = _said(tree)
    said.title = said.title or extract_title(tree)
    said.author = said.author or (extract_author(tree) if _may_have_byline(tree) else None)
    said.url = said.url or extract_url(tree, url)
    # A date is taken where the page states one; guessing it from the text can take seconds.
    said.date = find_date(tree, **{**set_date_params(extensive=False), "url": said.url})
    said.sitename = _site_name(said.sitename or extract_sitename(tree))
    host = extract_domain(said.url, fast=True) if said.url else None
    said.clean_and_trim()
    return Described(
        title=said.title,
        author=said.author,
        date=said.date,
        description=said.description,
        # The name of the host is no name.
        site_name=None if (said.sitename or "").lower() == (host or "").lower() else said.sitename,
    )


def _said(tree: HtmlElement) -> Document:
    said = examine_meta(tree)
    if said.author and " " not in said.author:
        said.author = None
    try:
        return extract_meta_json(tree, said)
    except Exception as error:
        # It stumbles over JSON-LD of odd shapes, as its own caller knows; what it read before stands.
        _log.debug("JSON-LD not read to its end", extra={"error": repr(error)})
        return said


def _may_have_byline(tree: HtmlElement) -> bool:
    elements = list(tree.iter("*"))
    if any(element.tag == "author" for element in elements):
        return True
    for name, parts in _BYLINES.items():
        values = "\n".join(element.get(name, "") for element in elements)
        if any(part in values for part in parts):
            return True
    return False


def _site_name(name: str | None) -> str | None:
    name = (name or "").lstrip("@")
    return name.title() if name and "." not in name and not name[0].isupper() else name
