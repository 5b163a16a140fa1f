"""PDF: text and typography of each page, by PDFium."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import pypdfium2
import pypdfium2.raw as pdfium

from shared.documents.cleaning import clean_line
from shared.documents.document import Content, Limits, Part, first_heading, too_much_text
from shared.documents.pdf_file import checked_length, opened_pdf
from shared.documents.pdf_layout import Line, Typography, layout, typography
from shared.documents.pdf_lines import page_lines
from shared.documents.source import Source

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
# A font without a Unicode map yields glyph numbers; one in thirty of them is a control character, or more.
_GARBLED: Final = 0.02
_GARBLED_SHARE: Final = 0.2
# A scanned page may carry a stamp or a number as text beside the picture that is the page.
_STAMP_CHARACTERS: Final = 100
_PICTURE_SHARE: Final = 0.6
_OBJECTS: Final = 200


@dataclass(frozen=True, kw_only=True)
class PdfSurvey:
    """What the parts of a PDF need to know of the whole: its typography, and where its headings stand."""

    pages: int
    title: str | None
    typography: Typography
    headings: tuple[Part, ...]
    scanned_pages: tuple[int, ...]


def read_pdf(
    source: Source, limits: Limits, *, pages: tuple[int, int] | None = None, known: Typography | None = None
) -> Content:
    """Read the text layer, page by page. Headings are told by size and weight, paragraphs by their spacing.

    The title is the file's own, else the first heading of the largest size. A password that only restricts
    printing or copying does not hinder. Pages without text, or set in fonts that do not say what their glyphs
    mean, are `scanned_pages`. Raises `invalid_file` for a PDF that is damaged, encrypted or over a limit.

    Args:
        pages: First and last, from 1; all if not given.
        known: The typography of the whole, where only some pages are read.
    """
    with opened_pdf(source) as document:
        text = _read(document, limits, pages)
    parts = layout(text.lines, known or typography(text.lines))
    title = text.title or first_heading(parts)
    return Content(parts=parts, title=title, scanned_pages=text.scanned_pages)


def survey_pdf(source: Source, limits: Limits) -> PdfSurvey:
    """Read the whole PDF once for what its parts cannot know."""
    with opened_pdf(source) as document:
        pages = checked_length(document, limits)
        text = _read(document, limits, None)
    known = typography(text.lines)
    headings = tuple(part for part in layout(text.lines, known) if part.kind == "heading")
    return PdfSurvey(
        pages=pages,
        title=text.title or first_heading(headings),
        typography=known,
        headings=headings,
        scanned_pages=text.scanned_pages,
    )


@dataclass(frozen=True, kw_only=True)
class _Text:
    lines: list[Line]
    title: str | None
    scanned_pages: tuple[int, ...]


def _read(document: pypdfium2.PdfDocument, limits: Limits, pages: tuple[int, int] | None) -> _Text:
    first, last = pages or (1, checked_length(document, limits))
    characters = 0
    lines: list[Line] = []
    scanned: list[int] = []
    for number in range(first, last + 1):
        page = document[number - 1]
        text_page = page.get_textpage()
        characters += text_page.count_chars()
        if characters > limits.text_characters:
            raise too_much_text(limits)
        found = list(page_lines(text_page, number))
        text_page.close()
        is_garbled = _is_garbled(found)
        if is_garbled or _is_scanned(page, found):
            scanned.append(number)
        lines += () if is_garbled else found
        page.close()
    title = _sensible(clean_line(document.get_metadata_value("Title")))
    return _Text(lines=lines, title=title, scanned_pages=tuple(scanned))


def _is_scanned(page: pypdfium2.PdfPage, lines: Sequence[Line]) -> bool:
    """Whether a page shows something and has no text, or next to none beside a picture of the whole page."""
    characters = sum(len(line.text) for line in lines)
    if characters >= _STAMP_CHARACTERS:
        return False
    objects = list(islice(page.get_objects(max_depth=2), _OBJECTS))
    if not characters:
        return bool(objects)
    width, height = page.get_size()
    return any(_covers(item, width * height) for item in objects if item.type == pdfium.FPDF_PAGEOBJ_IMAGE)


def _covers(item: pypdfium2.PdfObject, area: float) -> bool:
    left, bottom, right, top = item.get_bounds()
    return bool((right - left) * (top - bottom) >= _PICTURE_SHARE * area)


def _is_garbled(lines: Sequence[Line]) -> bool:
    total = sum(len(line.text) for line in lines)
    garbled = sum(
        len(line.text) for line in lines if len(_CONTROL.findall(line.text)) > _GARBLED * len(line.text)
    )
    return garbled > _GARBLED_SHARE * total


def _sensible(title: str) -> str | None:
    """Producers put file names and numbers there too."""
    return (
        title if re.search(r"\w\s+\w", title) and not re.match(r"Microsoft \w+ - |untitled", title) else None
    )
