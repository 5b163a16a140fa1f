"""PDF: text and typography of each page, by PDFium."""

import ctypes
import math
import re
import threading
from collections.abc import Iterator
from typing import Final

import pypdfium2
import pypdfium2.raw as pdfium

from shared.documents.cleaning import clean_line
from shared.documents.document import Content, Limits, Part, UnreadableDocumentError, too_much_text
from shared.documents.pdf_layout import Line, layout

# PDFium keeps global state and must never be entered by two threads at once.
_PDFIUM: Final = threading.Lock()
_BOLD_NAME: Final = re.compile(r"bold|black|heavy|demi|cmbx", re.IGNORECASE)
_BOLD_WEIGHT: Final = 600
_FONT_NAME_BYTES: Final = 128
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
# A font without a Unicode map yields glyph numbers; one in thirty of them is a control character, or more.
_GARBLED: Final = 0.02
_GARBLED_SHARE: Final = 0.2


def read_pdf(data: bytes, limits: Limits) -> Content:
    """Read the text layer, page by page. Headings are told by size and weight, paragraphs by their spacing.

    The title is the file's own, else the first heading of the largest size. A password that only restricts
    printing or copying does not hinder. Raises `invalid_file` for a PDF that is damaged, encrypted, over a
    limit, made of images, or set in fonts that do not say what their glyphs mean.
    """
    with _PDFIUM:
        document = _open(data)
        try:
            lines = list(_lines(document, limits))
            title = clean_line(document.get_metadata_value("Title"))
        except (pypdfium2.PdfiumError, AssertionError) as error:  # it asserts on what PDFium returns
            raise _invalid("The PDF is damaged. Open it, save it again and upload that.") from error
        finally:
            document.close()
    _check(lines)
    parts = layout(lines)
    return Content(parts=parts, title=_sensible(title) or _first_heading(parts))


def _open(data: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY):
            raise _invalid("The PDF is encrypted; upload one without a password.") from error
        raise _invalid("The PDF is damaged or cut short. Upload it again.") from error


def _lines(document: pypdfium2.PdfDocument, limits: Limits) -> Iterator[Line]:
    if len(document) > limits.pages:
        raise _invalid(f"The PDF has {len(document):,} pages; the limit is {limits.pages:,}. Split it.")
    characters = 0
    for number in range(len(document)):
        page = document[number]
        text_page = page.get_textpage()
        characters += text_page.count_chars()
        if characters > limits.text_characters:
            raise too_much_text(limits)
        yield from _page_lines(text_page, number + 1)
        text_page.close()
        page.close()


def _page_lines(text_page: pypdfium2.PdfTextPage, page: int) -> Iterator[Line]:
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


def _check(lines: list[Line]) -> None:
    total = sum(len(line.text) for line in lines)
    if not total:
        raise _invalid(
            "The PDF has no text layer: its pages are images. Run OCR over it and upload the result."
        )
    garbled = sum(len(line.text) for line in lines if _is_garbled(line.text))
    if garbled > _GARBLED_SHARE * total:
        message = (
            "The PDF's fonts do not say which characters they show. Run OCR over it and upload the result."
        )
        raise _invalid(message)


def _is_garbled(text: str) -> bool:
    return len(_CONTROL.findall(text)) > _GARBLED * len(text)


def _sensible(title: str) -> str | None:
    """Producers put file names and numbers there too."""
    return (
        title if re.search(r"\w\s+\w", title) and not re.match(r"Microsoft \w+ - |untitled", title) else None
    )


def _first_heading(parts: list[Part]) -> str | None:
    return next((part.text.lstrip("# ") for part in parts if part.level == 1), None)


def _invalid(message: str) -> UnreadableDocumentError:
    return UnreadableDocumentError("invalid_file", message)
