"""A very large page, looked through for its links and what it says of itself, without a tree in memory.

A tree of 20 MiB of HTML takes up to a gigabyte, and choosing its content half a minute.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from urllib.parse import urljoin

from shared.errors import InvalidRequestError
from shared.web.robots import Directives, read_directives
from shared.web.urls import normalise

_TITLE_LENGTH = 300

# Links that are followed, the first of them.
_LINKS = 10_000

# Characters that are parsed at a time.
_PIECE = 2**16


@dataclass(frozen=True, kw_only=True)
class Skimmed:
    """What a page says in its tags. `links` are as those of `extract.Page`, up to 10,000."""

    title: str | None
    links: tuple[str, ...]
    directives: Directives


def skim(html: str, *, url: str, product: str) -> Skimmed:
    """Look through the HTML of a page.

    Args:
        url: Where it was fetched, for relative links.
        product: The robot's name, for `<meta>` tags that speak to it.
    """
    from lxml.etree import HTMLParser, XMLSyntaxError

    seen = _Seen()
    # Of comments nothing is wanted, which the types of lxml do not know to be allowed.
    parser = HTMLParser(target=seen, huge_tree=True)  # type: ignore[arg-type]
    for start in range(0, len(html), _PIECE):
        parser.feed(html[start : start + _PIECE])
    try:
        parser.close()
    except XMLSyntaxError:
        # Nothing in it was a tag.
        return Skimmed(title=None, links=(), directives=Directives())
    names = ("robots", product.lower())
    directives = read_directives((content for name, content in seen.metas if name in names), product)
    base = next(_absolute(url, [seen.base or ""]), url)
    return Skimmed(
        title=" ".join("".join(seen.title).split())[:_TITLE_LENGTH] or None,
        links=tuple(dict.fromkeys(_absolute(base, islice(seen.links, _LINKS)))),
        directives=directives,
    )


@dataclass
class _Seen:
    """What lxml tells of each tag; it wants these methods."""

    title: list[str] = field(default_factory=list)
    base: str | None = None
    links: dict[str, None] = field(default_factory=dict)
    metas: list[tuple[str, str]] = field(default_factory=list)
    _in_title: bool = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._in_title = tag == "title" and not self.title
        match tag:
            case "a" | "area" if "nofollow" not in attributes.get("rel", "").lower().split():
                self.links[attributes.get("href", "").strip()] = None
            case "base" if self.base is None:
                self.base = attributes.get("href")
            case "meta":
                self.metas.append((attributes.get("name", "").strip().lower(), attributes.get("content", "")))

    def end(self, _: str) -> None:
        self._in_title = False

    def data(self, text: str) -> None:
        if self._in_title:
            self.title.append(text)

    def close(self) -> None:
        """There is nothing to hand over."""


def _absolute(base: str, hrefs: Iterable[str]) -> Iterator[str]:
    for href in hrefs:
        if not href:
            continue
        try:
            yield normalise(urljoin(base, href))
        except (InvalidRequestError, ValueError):
            continue
