"""From text to a tree."""

from typing import Final

from lxml.etree import ElementDefaultClassLookup
from lxml.html import HtmlComment, HtmlElement, HtmlEntity, HtmlProcessingInstruction
from trafilatura import load_html

# lxml.html asks a Python function for the class of each element each time one is touched, to give forms and
# their fields classes of their own, which nothing here needs.
_ONE_CLASS: Final = ElementDefaultClassLookup(
    element=HtmlElement, comment=HtmlComment, pi=HtmlProcessingInstruction, entity=HtmlEntity
)


def parse(text: str) -> HtmlElement | None:
    """Read HTML, repaired where it is broken; None if it is none."""
    tree = load_html(text)
    if tree is not None:
        # The parser is trafilatura's, one for all pages. Trees share it with their copies.
        tree.getroottree().parser.set_element_class_lookup(_ONE_CLASS)
    return tree
