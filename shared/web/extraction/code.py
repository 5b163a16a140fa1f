"""Code in a page: its text, and the language that it says it is in."""

import re
from typing import Final

from lxml.html import HtmlElement

from shared.web.extraction.elements import beside_text

_LANGUAGE: Final = re.compile(r"\b(?:language|lang|highlight-source|highlight|brush:)[-\s]*([\w+#]+)")


def code_text(element: HtmlElement) -> list[str]:
    """The text of code without its line numbers."""
    parts = ["\n" if element.tag == "br" else element.text or ""]
    for child in element:
        if isinstance(child.tag, str) and not beside_text(child):
            parts += code_text(child)
        parts.append(child.tail or "")
    return parts


def language_of(element: HtmlElement) -> str:
    """As a class of the code or what is around it names it, else nothing."""
    parent = element.getparent()
    for mark in (element, *element.iterchildren("code"), *([parent] if parent is not None else [])):
        match = _LANGUAGE.search(mark.get("class", ""))
        if match:
            return match[1]
    return ""
