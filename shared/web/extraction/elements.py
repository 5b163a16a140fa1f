"""Which elements of a page part it into blocks, mark text, or hold none of it."""

from typing import Final

from lxml.html import HtmlElement

HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
NEVER: Final = frozenset((
    "script", "style", "template", "title", "svg", "canvas", "iframe", "object", "embed", "audio", "video",
    "map", "select", "input", "textarea", "head", "datalist", "meta", "link",
))  # fmt: skip
BLOCKS: Final = frozenset((
    *HEADINGS, "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details",
    "dialog", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup",
    "hr", "html", "legend", "li", "main", "menu", "nav", "noscript", "ol", "p", "pre", "search", "section",
    "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
))  # fmt: skip
CODE: Final = frozenset(("code", "kbd", "samp", "tt"))
EMPHASIS: Final = {"b": "**", "strong": "**", "i": "*", "em": "*"}
# Line numbers beside code, and marks that sites put beside headings.
_GUTTER: Final = frozenset((
    "gutter", "headerlink", "line-numbers", "line-numbers-rows", "lineno", "linenos", "linenumber",
    "linenumbers", "mw-editsection", "rouge-gutter",
))  # fmt: skip


def beside_text(element: HtmlElement) -> bool:
    """Whether its class says that it stands beside the text, and is none of it."""
    names = element.get("class")
    return names is not None and not _GUTTER.isdisjoint(names.split())
