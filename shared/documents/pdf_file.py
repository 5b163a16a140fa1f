"""An open PDF. PDFium keeps global state and must never be entered by two threads at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pypdfium2
import pypdfium2.raw as pdfium

from shared.documents.document import Limits, invalid
from shared.documents.source import Source

_PDFIUM: Final = threading.Lock()


@contextmanager
def opened_pdf(source: Source) -> Iterator[pypdfium2.PdfDocument]:
    """The PDF, for one thread at a time. Raises `invalid_file` for one that is damaged or encrypted."""
    with _PDFIUM:
        try:
            document = pypdfium2.PdfDocument(source.content)
        except pypdfium2.PdfiumError as error:
            if error.err_code in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY):
                raise invalid("The PDF is encrypted; upload one without a password.") from error
            raise invalid("The PDF is damaged or cut short. Upload it again.") from error
        try:
            yield document
        except (pypdfium2.PdfiumError, AssertionError) as error:  # it asserts on what PDFium returns
            raise invalid("The PDF is damaged. Open it, save it again and upload that.") from error
        finally:
            document.close()


def checked_length(document: pypdfium2.PdfDocument, limits: Limits) -> int:
    """How many pages it has. Raises `invalid_file` for more than the limit."""
    if len(document) > limits.pages:
        raise invalid(f"The PDF has {len(document):,} pages; the limit is {limits.pages:,}. Split it.")
    return len(document)


def page_count(source: Source, limits: Limits) -> int:
    """How many pages a PDF has. Raises `invalid_file` for one that cannot be read or has too many."""
    with opened_pdf(source) as document:
        return checked_length(document, limits)
