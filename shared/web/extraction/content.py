"""The main content of a page: trafilatura's judgement, and more than that.

trafilatura finds the body of an article well, and loses much of shops, lists, forums and landing pages. So
the page is cut into pieces, and what trafilatura took of each is one of the signs by which they are chosen.
"""

from dataclasses import dataclass
from itertools import chain, compress
from typing import Final

from lxml.etree import XPath, strip_attributes
from lxml.html import HtmlElement
from trafilatura import extract
from trafilatura.settings import Extractor

from shared.web.extraction.choose import chosen
from shared.web.extraction.declared import is_article
from shared.web.extraction.markdown import compose, plain
from shared.web.extraction.overlap import shares_within
from shared.web.extraction.pieces import read_pieces
from shared.web.extraction.reading import Reading
from shared.web.extraction.words import words_of

# trafilatura takes seconds for a page of more elements than this; the largest of real pages have a third. Its
# time for cells that span others grows with their square: of 2,000 it is 18 s.
_ELEMENTS_LIMIT: Final = 50_000
_SPANS_LIMIT: Final = 200
_is_too_large: Final = XPath(f"count(//*) > {_ELEMENTS_LIMIT}")
_has_too_many_spans: Final = XPath(f"count(//*[@colspan or @rowspan]) > {_SPANS_LIMIT}")

# Made once, as it is read from trafilatura's configuration.
_OPTIONS: Final = Extractor(comments=False)


@dataclass(frozen=True)
class MainContent:
    """`markdown` has links and images; `text` is the words alone, a heading, paragraph or item a line, and
    without a title at its beginning; `words` are those of the text, in lower case.
    """

    markdown: str
    text: str
    words: tuple[str, ...]


def main_content(tree: HtmlElement) -> MainContent:
    """Find it, or nothing on a page without text. `tree`'s links are absolute."""
    article = is_article(tree)
    page = read_page(tree)
    kept = list(compress(page.pieces, chosen(page, article=article)))
    titled = bool(kept) and kept[0].level == 1
    told = kept[1:] if titled and len(kept) > 1 else kept
    words = tuple(chain.from_iterable(piece.words for piece in told))
    return MainContent(compose(kept), plain(told), words)


def read_page(tree: HtmlElement) -> Reading:
    """The pieces of a page, with what they are judged by."""
    pieces = read_pieces(tree)
    title = words_of(tree.findtext(".//title") or "")
    return Reading(pieces, shares_within(pieces, _by_trafilatura(tree)), title)


def _by_trafilatura(tree: HtmlElement) -> str:
    if _is_too_large(tree):
        return ""
    if _has_too_many_spans(tree):
        strip_attributes(tree, "colspan", "rowspan")
    return extract(tree, options=_OPTIONS) or ""
