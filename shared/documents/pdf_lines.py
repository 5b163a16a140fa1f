"""The lines of a PDF's page with their typography, as PDFium tells them."""

import ctypes
import math
import re
from collections.abc import Iterator
from typing import Final

import pypdfium2
import pypdfium2.raw as pdfium

from shared.documents.pdf_layout import Line

_BOLD_NAME: Final = re.compile(r"bold|black|heavy|demi|cmbx", re.IGNORECASE)
_BOLD_WEIGHT: Final = 600
_FONT_NAME_BYTES: Final = 128


def page_lines(text_page: pypdfium2.PdfTextPage, page: int) -> Iterator[Line]:
    """The lines of page number `page` that hold text, in the order of the file."""
    start = 0  # in PDFium's units: UTF-16 codes
    for text in text_page.get_text_range().split("\r\n"):
        stripped = text.strip()
        if stripped:
            first = start + _units(text) - _units(text.lstrip())
            yield _line(text_page, page, stripped, first, first + _units(stripped) - 1)
        start += _units(text) + 2


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def _line(text_page: pypdfium2.PdfTextPage, page: int, text: str, first: int, last: int) -> Line:
    start = pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, first)
    end = pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, last)
    left, top = _origin(text_page, start)
    return Line(
        text=text,
        page=page,
        left=left,
        right=_right(text_page, end),
        top=top,
        bottom=_origin(text_page, end)[1],
        size=sorted(_size(text_page, index) for index in (start, (start + end) // 2, end))[1] or 1.0,
        bold=_is_bold(text_page, start) and _is_bold(text_page, end),
    )


def _origin(text_page: pypdfium2.PdfTextPage, index: int) -> tuple[float, float]:
    x, y = ctypes.c_double(), ctypes.c_double()
    pdfium.FPDFText_GetCharOrigin(text_page, index, x, y)
    return x.value, y.value


def _right(text_page: pypdfium2.PdfTextPage, index: int) -> float:
    box = pdfium.FS_RECTF()
    pdfium.FPDFText_GetLooseCharBox(text_page, index, box)
    return float(box.right)


def _size(text_page: pypdfium2.PdfTextPage, index: int) -> float:
    """The size as seen on the page, to half a point: the font's own, scaled by the text's matrix."""
    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFText_GetMatrix(text_page, index, matrix)
    size: float = pdfium.FPDFText_GetFontSize(text_page, index)
    return round(2 * size * math.hypot(matrix.c, matrix.d)) / 2


def _is_bold(text_page: pypdfium2.PdfTextPage, index: int) -> bool:
    if pdfium.FPDFText_GetFontWeight(text_page, index) >= _BOLD_WEIGHT:
        return True
    name = ctypes.create_string_buffer(_FONT_NAME_BYTES)
    pdfium.FPDFText_GetFontInfo(text_page, index, name, _FONT_NAME_BYTES, ctypes.c_int())
    return bool(_BOLD_NAME.search(name.value.decode("latin-1")))
