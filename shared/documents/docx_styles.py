"""What a DOCX's styles and numbering say about a paragraph: heading, list item or neither."""

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Final

from lxml.etree import QName, _Element

_HEADING_NAME: Final = re.compile(r"heading ([1-9])", re.IGNORECASE)
_BULLETS: Final = ("bullet", "none")
_DEEPEST: Final = 8


@dataclass(frozen=True, kw_only=True)
class Style:
    """`level` 1 to 6 makes a heading; `list_id` an item of that list, `list_level` deep from 0."""

    level: int | None = None
    list_id: str | None = None
    list_level: int = 0
    is_title: bool = False


def value(parent: _Element, *path: str) -> str | None:
    """The `val` attribute of the element at `path` below `parent`; None if there is no such element.

    Namespaces are ignored: the strict and the transitional format differ in nothing else here.
    """
    element = parent.find("/".join(f"{{*}}{name}" for name in path))
    return None if element is None else attribute(element, "val")


def attribute(element: _Element, name: str) -> str:
    """The attribute of that name in any namespace; "" if there is none."""
    return next((str(text) for key, text in element.attrib.items() if QName(key).localname == name), "")


class Styles:
    """The styles of `styles.xml`; a style inherits from the one it is based on."""

    def __init__(self, root: _Element | None) -> None:
        self._elements: dict[str, _Element] = {}
        self._known: dict[str, Style] = {"": Style()}
        for element in root.iterchildren("{*}style") if root is not None else ():
            self._elements[attribute(element, "styleId")] = element

    def of(self, paragraph: _Element) -> Style:
        """The paragraph's style, with what the paragraph itself says on top."""
        properties = paragraph.find("{*}pPr")
        if properties is None:
            return self._known[""]
        return _with(properties, self._named(value(properties, "pStyle") or ""))

    def _named(self, style_id: str) -> Style:
        if style_id not in self._known:
            element = self._elements.get(style_id)
            self._known[style_id] = Style()  # holds against styles based on each other in a ring
            if element is not None:
                self._known[style_id] = self._read(element)
        return self._known[style_id]

    def _read(self, element: _Element) -> Style:
        style = self._named(value(element, "basedOn") or "")
        properties = element.find("{*}pPr")
        if properties is not None:
            style = _with(properties, style)
        name = value(element, "name") or ""
        if name.lower() == "title":
            return Style(level=1, is_title=True)
        heading = _HEADING_NAME.fullmatch(name)
        return replace(style, level=min(int(heading[1]), 6)) if heading else style


def _with(properties: _Element, style: Style) -> Style:
    """`style` with the outline level and the numbering of some paragraph properties."""
    outline = value(properties, "outlineLvl")
    if outline is not None:
        style = replace(style, level=min(int(outline) + 1, 6) if outline in set("012345678") else None)
    list_id = value(properties, "numPr", "numId")
    if list_id is not None:
        style = replace(style, list_id=None if list_id in ("", "0") else list_id)
    list_level = value(properties, "numPr", "ilvl")
    if list_level is not None:
        style = replace(style, list_level=int(list_level) if list_level in set("012345678") else _DEEPEST)
    return style


class Numbering:
    """The lists of `numbering.xml`, and how far each has been counted."""

    def __init__(self, root: _Element | None) -> None:
        self._formats: dict[tuple[str, int], str] = {}
        self._counts: Counter[tuple[str, int]] = Counter()
        if root is not None:
            self._read(root)

    def next_marker(self, list_id: str, level: int) -> str:
        """ "-", or the number of the next item: "3."."""
        if self._formats.get((list_id, level), "bullet") in _BULLETS:
            return "-"
        self._counts[list_id, level] += 1
        for deeper in range(level + 1, _DEEPEST + 1):
            self._counts[list_id, deeper] = 0
        return f"{self._counts[list_id, level]}."

    def _read(self, root: _Element) -> None:
        abstract = {
            attribute(element, "abstractNumId"): list(element.iterchildren("{*}lvl"))
            for element in root.iterchildren("{*}abstractNum")
        }
        for element in root.iterchildren("{*}num"):
            for lvl in abstract.get(value(element, "abstractNumId") or "", ()):
                depth = attribute(lvl, "ilvl")
                if depth in set("012345678"):
                    key = attribute(element, "numId"), int(depth)
                    self._formats[key] = value(lvl, "numFmt") or "bullet"
