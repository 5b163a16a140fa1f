"""Any uploaded file to a `Document`. The parser of a format is imported when the first such file arrives."""

from pathlib import Path

from shared.documents.document import (
    DEFAULT_LIMITS,
    Content,
    Document,
    Limits,
    assemble,
    invalid,
    too_much_text,
)
from shared.documents.media import IMAGES, MEDIA_TYPES, Format, detect_format
from shared.documents.pictures import no_vision_model
from shared.documents.source import Source


def parse(
    data: bytes | Path, filename: str, media_type: str | None, *, limits: Limits = DEFAULT_LIMITS
) -> Document:
    """Read a whole file into clean Markdown with structure. Pure CPU: no network, and no disk but that path.

    `filename` matters for its extension alone, and only where neither the bytes nor `media_type` decide.
    Raises `UnreadableDocumentError` for every file that cannot be read, and nothing else.
    """
    source = Source(data)
    format = detect_format(source, filename, media_type)
    if format in IMAGES:
        raise no_vision_model("a picture")
    return assemble(read_whole(format, source, media_type, limits), MEDIA_TYPES[format], limits)


def read_whole(format: Format, source: Source, media_type: str | None, limits: Limits) -> Content:
    """What a whole file of that format contains."""
    _check_size(format, source.size, limits)
    match format:
        case "pdf" | "docx" | "pptx" | "xlsx" | "epub":
            return _read_package(format, source, limits)
        case "csv" | "tsv":
            from shared.documents.table import read_table

            delimiter = "\t" if format == "tsv" else None
            return read_table(source.read(), media_type, limits, delimiter=delimiter)
        case "json" | "jsonl":
            from shared.documents.json_records import read_json, read_json_lines

            data = source.read()
            return (
                read_json(data, media_type) if format == "json" else read_json_lines(data, media_type, limits)
            )
        case _:
            return _read_prose(format, source.read(), media_type)


def _check_size(format: Format, size: int, limits: Limits) -> None:
    """Refuse at once what could not be read in the end."""
    # No character takes more than four bytes, and here all of them stay.
    if format in ("text", "code", "markdown") and size > 4 * limits.text_characters:
        raise too_much_text(limits)
    if format in ("html", "json", "eml") and size > limits.decompressed_bytes:
        megabytes = limits.decompressed_bytes // 2**20
        raise invalid(f"The file is larger than {megabytes:,} MB, the most for its kind. Split it.")


def _read_package(format: Format, source: Source, limits: Limits) -> Content:
    match format:
        case "docx":
            from shared.documents.docx import read_docx

            return read_docx(source, limits)
        case "pptx":
            from shared.documents.pptx import read_pptx

            return read_pptx(source, limits)
        case "xlsx":
            from shared.documents.xlsx import read_xlsx

            return read_xlsx(source, limits)
        case "epub":
            from shared.documents.epub import read_epub

            return read_epub(source, limits)
        case _:
            from shared.documents.pdf import read_pdf

            return read_pdf(source, limits)


def _read_prose(format: Format, data: bytes, media_type: str | None) -> Content:
    match format:
        case "html":
            from shared.documents.html import read_html

            return read_html(data, media_type)
        case "markdown":
            from shared.documents.markdown import read_markdown

            return read_markdown(data, media_type)
        case "eml":
            from shared.documents.email_message import read_email

            return read_email(data)
        case _:
            from shared.documents.text import read_text

            return read_text(data, media_type, kind="code" if format == "code" else "paragraph")
