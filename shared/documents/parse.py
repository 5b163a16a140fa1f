"""Any uploaded file to a `Document`. The parser of a format is imported when the first such file arrives."""

from shared.documents.document import DEFAULT_LIMITS, Content, Document, Limits, assemble
from shared.documents.media import MEDIA_TYPES, Format, detect_format


def parse(data: bytes, filename: str, media_type: str | None, *, limits: Limits = DEFAULT_LIMITS) -> Document:
    """Read the file into clean Markdown with structure. Pure CPU: no network, no disk.

    `filename` matters for its extension alone, and only where neither the bytes nor `media_type` decide.
    Raises `UnreadableDocumentError` for every file that cannot be read, and nothing else.
    """
    format = detect_format(data, filename, media_type)
    content = _read(format, data, media_type, limits)
    return assemble(content, MEDIA_TYPES[format], limits)


def _read(format: Format, data: bytes, media_type: str | None, limits: Limits) -> Content:
    match format:
        case "pdf":
            from shared.documents.pdf import read_pdf

            return read_pdf(data, limits)
        case "docx":
            from shared.documents.docx import read_docx

            return read_docx(data, limits)
        case "html":
            from shared.documents.html import read_html

            return read_html(data, media_type)
        case "markdown":
            from shared.documents.markdown import read_markdown

            return read_markdown(data, media_type)
        case "csv" | "tsv":
            from shared.documents.table import read_table

            return read_table(data, media_type, limits, delimiter="\t" if format == "tsv" else None)
        case "text" | "code":
            from shared.documents.text import read_text

            return read_text(data, media_type, kind="code" if format == "code" else "paragraph")
