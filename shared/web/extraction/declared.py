"""What a page says that it is."""

import re
from typing import Final

from lxml.html import HtmlElement

# Of https://schema.org/Article and its kinds, those of texts that are read from beginning to end.
_ARTICLES: Final = frozenset((
    "AnalysisNewsArticle", "Article", "BlogPosting", "LiveBlogPosting", "NewsArticle", "OpinionNewsArticle",
    "ReportageNewsArticle", "ScholarlyArticle",
))  # fmt: skip
_TYPE: Final = re.compile(r'"@type"\s*:\s*\[?\s*"([^"]{1,80})"')


def is_article(tree: HtmlElement) -> bool:
    """Whether JSON-LD, microdata or OpenGraph call the page an article."""
    if any(
        kind.strip().lower().startswith("article")
        for kind in tree.xpath("//meta[@property='og:type']/@content")
    ):
        return True
    if any(kind.rpartition("/")[2] in _ARTICLES for kind in tree.xpath("//@itemtype")):
        return True
    data = tree.xpath("//script[@type='application/ld+json']")
    return any(kind in _ARTICLES for script in data for kind in _TYPE.findall(script.text or ""))
