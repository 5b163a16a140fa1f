"""HTML: the main part of a page as Markdown blocks."""

from collections.abc import Iterator
from typing import Final, cast

import lxml.etree
import lxml.html
from lxml.html import HtmlElement

from shared.documents.charset import decode
from shared.documents.cleaning import clean_code, clean_line
from shared.documents.document import Content, Part, invalid
from shared.documents.html_blocks import html_blocks
from shared.documents.html_main import main_part

_NEVER_TEXT: Final = (
    "script", "style", "template", "title", "svg", "canvas", "iframe", "object", "embed", "audio", "video",
    "map", "select", "input", "textarea", "dialog",
)  # fmt: skip


def read_html(data: bytes, media_type: str | None) -> Content:
    """Read a page: its main part without navigation, scripts and forms; of links the words.

    Text hidden by CSS stays: tabs and folded answers are hidden too, until somebody opens them. Raises
    `invalid_file` for a page nested deeper than 2,048 elements, libxml2's limit.
    """
    root = _parse(decode(data, media_type=media_type, html=True))
    if root is None:
        return Content(parts=())
    title = _title(root)
    lxml.etree.strip_elements(root, *_NEVER_TEXT, with_tail=False)
    return Content(parts=html_blocks(main_part(root)), title=title)


def html_fragment(markup: str) -> Iterator[Part]:
    """The blocks of a piece of HTML, as it stands inside a Markdown file."""
    root = _parse(markup)
    if root is not None:
        lxml.etree.strip_elements(root, *_NEVER_TEXT, with_tail=False)
        yield from html_blocks(root)


def _parse(markup: str) -> HtmlElement | None:
    # Bytes, because lxml refuses a str that declares an encoding. Without huge_tree, libxml2 silently drops
    # all that lies deeper than 256 elements.
    parser = lxml.html.HTMLParser(
        encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True, huge_tree=True
    )
    try:
        root = lxml.html.document_fromstring(clean_code(markup).encode(), parser=parser)
    except lxml.etree.ParserError:  # nothing in it
        return None
    if any(entry.type_name == "ERR_RESOURCE_LIMIT" for entry in parser.error_log):
        message = "The HTML is nested too deeply. Simplify it or save it as text."
        raise invalid(message)
    return cast(HtmlElement, root)


def _title(root: HtmlElement) -> str | None:
    for path in ("//head/title", "//h1"):
        for element in root.xpath(path)[:1]:
            title = clean_line(element.text_content())
            if title:
                return title
    return None
