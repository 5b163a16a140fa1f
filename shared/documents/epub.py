"""EPUB: the chapters of a book in reading order (W3C EPUB 3; the older NCX contents of EPUB 2)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import lxml.etree
import lxml.html
from lxml.etree import _Element

from shared.documents.charset import decode
from shared.documents.cleaning import clean_line
from shared.documents.document import Content, Limits, Part, invalid
from shared.documents.html import html_fragment
from shared.documents.package import Package, resolved
from shared.documents.source import Source

_CONTAINER: Final = "META-INF/container.xml"
_PAGES: Final = ("application/xhtml+xml", "text/html")
# These only disguise fonts; anything else hides the text.
_HARMLESS: Final = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")


@dataclass(frozen=True, kw_only=True)
class _Item:
    """A file of the book, by its path in the package."""

    path: str
    media_type: str
    properties: str


def read_epub(source: Source, limits: Limits) -> Content:
    """Read a book. A chapter without a heading gets its name in the table of contents.

    Raises `invalid_file` for a damaged, hostile or copy-protected book.
    """
    with Package(source, limits, "EPUB") as package:
        return _read(package)


def _read(package: Package) -> Content:
    if any(algorithm not in _HARMLESS for algorithm in _encryption(package)):
        raise invalid("The EPUB is copy-protected, so that only its own reader can open it.")
    container = package.xml(_CONTAINER)
    root_file = container.find(".//{*}rootfile") if container is not None else None
    path = str(root_file.get("full-path", "")) if root_file is not None else ""
    book = package.xml(path)
    if book is None:
        raise package.damaged()
    title = clean_line(book.findtext("{*}metadata/{*}title") or "")
    return Content(parts=list(_chapters(package, path, book)), title=title or None)


def _encryption(package: Package) -> list[str]:
    root = package.xml("META-INF/encryption.xml")
    data = root.iterfind("{*}EncryptedData/{*}EncryptionMethod") if root is not None else ()
    return [str(method.get("Algorithm")) for method in data]


def _chapters(package: Package, path: str, book: _Element) -> Iterator[Part]:
    items = _items(path, book)
    names = _contents(package, items)
    for reference in book.iterfind("{*}spine/{*}itemref"):
        item = items.get(reference.get("idref", ""))
        if item is None or item.media_type not in _PAGES or "nav" in item.properties.split():
            continue
        data = package.read(item.path)
        if data is not None:
            yield from _chapter(decode(data, html=True), names.get(item.path, ""))


def _chapter(markup: str, name: str) -> Iterator[Part]:
    parts = list(html_fragment(markup))
    if parts and name and all(part.kind != "heading" for part in parts):
        yield Part(kind="heading", text=f"# {name}", level=1)
    yield from parts


def _items(path: str, book: _Element) -> dict[str, _Item]:
    return {
        str(item.get("id")): _Item(
            path=resolved(path, item.get("href", "")),
            media_type=str(item.get("media-type", "")),
            properties=str(item.get("properties", "")),
        )
        for item in book.iterfind("{*}manifest/{*}item")
    }


def _contents(package: Package, items: dict[str, _Item]) -> dict[str, str]:
    """The name of each file in the table of contents, by its path."""
    nav = next((item.path for item in items.values() if "nav" in item.properties.split()), None)
    ncx = next(
        (item.path for item in items.values() if item.media_type.startswith("application/x-dtbncx")), None
    )
    names: dict[str, str] = {}
    for entry, target, words in (*_nav_entries(package, nav), *_ncx_entries(package, ncx)):
        names.setdefault(resolved(entry, target), clean_line(words))
    return names


def _nav_entries(package: Package, nav: str | None) -> Iterator[tuple[str, str, str]]:
    data = package.read(nav) if nav else None
    if nav is None or not data:
        return
    parser = lxml.html.HTMLParser(encoding="utf-8", no_network=True)
    try:
        root = lxml.html.document_fromstring(decode(data, html=True).encode(), parser=parser)
    except lxml.etree.ParserError:  # nothing in it
        return
    for link in root.iter("a"):
        yield nav, link.get("href", ""), str(link.xpath("string()"))


def _ncx_entries(package: Package, ncx: str | None) -> Iterator[tuple[str, str, str]]:
    data = package.read(ncx) if ncx else None
    if ncx is None or not data:
        return
    root = package.parse(data, document_type=True)
    for point in root.iter("{*}navPoint"):
        content = point.find("{*}content")
        if content is not None:
            yield ncx, content.get("src", ""), point.findtext("{*}navLabel/{*}text") or ""
