"""PPTX: slides in order, each under its title (PresentationML and DrawingML, ECMA-376 part 1, 19 to 21)."""

from collections.abc import Iterator
from typing import Final

from lxml.etree import QName, _Element

from shared.documents.cleaning import clean, clean_line
from shared.documents.document import Content, Limits, Part, first_heading, invalid
from shared.documents.markdown_table import markdown_table
from shared.documents.package import Package, Relationship
from shared.documents.source import Source

_TITLES: Final = ("title", "ctrTitle")
# What PowerPoint repeats on every slide.
_FURNITURE: Final = ("sldNum", "dt", "ftr", "hdr", "sldImg")
_DEEPEST: Final = 8


def read_pptx(source: Source, limits: Limits) -> Content:
    """Read a presentation: a heading for each slide's title, its text, lists, tables and charts, the
    descriptions of its pictures, and the speaker's notes. A block's page is the number of its slide.

    Raises `invalid_file` for a damaged, hostile or encrypted file, or one with too many slides.
    """
    with Package(source, limits, "PPTX") as package:
        return _read(package, limits)


def _read(package: Package, limits: Limits) -> Content:
    main = package.main("ppt/presentation.xml")
    root = package.xml(main)
    if root is None:
        raise package.damaged()
    relations = package.relationships(main)
    slides = [_relation(relations, slide) for slide in root.iterfind("{*}sldIdLst/{*}sldId")]
    if len(slides) > limits.pages:
        raise invalid(f"The PPTX has {len(slides):,} slides; the limit is {limits.pages:,}. Split it.")
    parts = [
        part
        for number, slide in enumerate(slides, 1)
        if slide
        for part in _slide(package, slide.target, number)
    ]
    return Content(parts=parts, title=package.title() or first_heading(parts))


def _relation(relations: dict[str, Relationship], element: _Element) -> Relationship | None:
    """What an element's `r:id` refers to."""
    ids = (value for name, value in element.attrib.items() if str(name).endswith("}id"))
    return next((relations[str(id)] for id in ids if str(id) in relations), None)


def _slide(package: Package, path: str, number: int) -> Iterator[Part]:
    root = package.xml(path)
    tree = root.find("{*}cSld/{*}spTree") if root is not None else None
    if tree is None:
        return
    relations = package.relationships(path)
    title = next((shape for shape in _shapes(tree) if _placeholder(shape) in _TITLES), None)
    words = clean_line(" ".join(_paragraph_texts(title))) if title is not None else ""
    if words:
        yield Part(kind="heading", text=f"# {words}", level=1, page=number)
    for shape in _shapes(tree):
        if shape is not title and _placeholder(shape) not in _FURNITURE:
            yield from _shape(package, shape, relations, number)
    yield from _notes(package, path, number)


def _shapes(container: _Element) -> Iterator[_Element]:
    """Shapes in the order in which the slide is read aloud; groups are their members. libxml2 lets none lie
    deeper than 256 elements."""
    for child in container:
        if QName(child).localname == "grpSp":
            yield from _shapes(child)
        elif QName(child).localname in ("sp", "graphicFrame", "pic", "cxnSp"):
            yield child
        elif QName(child).localname == "AlternateContent":
            choice = child.find("{*}Choice")
            yield from _shapes(choice) if choice is not None else ()


def _placeholder(shape: _Element) -> str | None:
    mark = shape.find("./*/{*}nvPr/{*}ph")
    return None if mark is None else str(mark.get("type", "body"))


def _shape(
    package: Package, shape: _Element, relations: dict[str, Relationship], page: int
) -> Iterator[Part]:
    table = shape.find("{*}graphic/{*}graphicData/{*}tbl")
    graphic = shape.find("{*}graphic/{*}graphicData")
    if table is not None:
        rows = [[_cell(cell) for cell in row.iterfind("{*}tc")] for row in table.iterfind("{*}tr")]
        yield Part(kind="table", text=markdown_table(rows), page=page)
    elif graphic is not None:
        yield from _graphic(package, graphic, relations, page)
    elif QName(shape).localname == "pic":
        yield from _description(shape, page)
    else:
        yield from _text(shape.find("{*}txBody"), page)


def _graphic(
    package: Package, graphic: _Element, relations: dict[str, Relationship], page: int
) -> Iterator[Part]:
    """A chart as the table of its figures, a diagram as the list of its words."""
    for child in graphic:
        kind = QName(child).localname
        ids = [relations.get(str(value)) for value in child.attrib.values()]
        target = next(
            (found.target for found in ids if found and found.kind in ("chart", "diagramData")), None
        )
        root = package.xml(target) if target else None
        if root is not None and kind == "chart":
            yield Part(kind="table", text=markdown_table(list(_chart(root))), page=page)
        elif root is not None:
            points = (clean_line(" ".join(_paragraph_texts(point))) for point in root.iter("{*}pt"))
            yield Part(kind="list", text="\n".join(f"- {words}" for words in points if words), page=page)


def _chart(root: _Element) -> Iterator[list[str]]:
    """A row of names, then a row for each category."""
    series = list(root.iter("{*}ser"))
    names = [clean_line(one.findtext("{*}tx//{*}v") or "") for one in series]
    columns = [_points(one.find("{*}val"), one.find("{*}yVal")) for one in series]
    categories = _points(*(series[0].find(name) for name in ("{*}cat", "{*}xVal"))) if series else {}
    yield ["", *(name or f"Series {number}" for number, name in enumerate(names, 1))]
    for index in sorted({*categories, *(index for column in columns for index in column)}):
        yield [categories.get(index, ""), *(column.get(index, "") for column in columns)]


def _points(*found: _Element | None) -> dict[int, str]:
    data = next((element for element in found if element is not None), None)
    points = data.iter("{*}pt") if data is not None else ()
    return {
        int(index): point.findtext("{*}v") or ""
        for point in points
        if (index := point.get("idx", "")).isdecimal() and len(index) < 7
    }


def _description(picture: _Element, page: int) -> Iterator[Part]:
    properties = picture.find("./*/{*}cNvPr")
    words = clean_line(properties.get("descr", "")) if properties is not None else ""
    if words:
        yield Part(kind="paragraph", text=f"Picture: {words}", page=page)


def _notes(package: Package, path: str, page: int) -> Iterator[Part]:
    notes = package.related(path, "notesSlide")
    root = package.xml(notes) if notes else None
    tree = root.find("{*}cSld/{*}spTree") if root is not None else None
    for shape in _shapes(tree) if tree is not None else ():
        if _placeholder(shape) == "body":
            text = "\n".join(filter(None, map(clean_line, _paragraph_texts(shape))))
            yield Part(kind="paragraph", text=f"Notes: {text}" if text else "", page=page)


def _text(body: _Element | None, page: int) -> Iterator[Part]:
    """Paragraphs one after the other are a list where there are several, as PowerPoint shows them."""
    lines = [
        (_level(paragraph), clean(text).strip())
        for paragraph in (body.iterfind("{*}p") if body is not None else ())
        if (text := _paragraph_text(paragraph)).strip()
    ]
    if len(lines) == 1:
        yield Part(kind="paragraph", text=lines[0][1], page=page)
    elif lines:
        items = "\n".join(f"{'  ' * level}- {clean_line(text)}" for level, text in lines)
        yield Part(kind="list", text=items, page=page)


def _level(paragraph: _Element) -> int:
    properties = paragraph.find("{*}pPr")
    level = properties.get("lvl", "0") if properties is not None else "0"
    return min(int(level), _DEEPEST) if level.isdecimal() and len(level) < 3 else 0


def _cell(cell: _Element) -> str:
    return " ".join(_paragraph_texts(cell))


def _paragraph_texts(element: _Element) -> list[str]:
    return [
        _paragraph_text(paragraph) for paragraph in element.iter("{*}p") if QName(paragraph).localname == "p"
    ]


def _paragraph_text(paragraph: _Element) -> str:
    pieces = []
    for element in paragraph.iter("{*}t", "{*}br", "{*}tab"):
        name = QName(element).localname
        pieces.append((element.text or "") if name == "t" else "\n" if name == "br" else "\t")
    return "".join(pieces)
