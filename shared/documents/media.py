"""Which parser reads a file: what its bytes say first, then the declared media type, then its extension."""

import io
import re
import zipfile
from pathlib import PurePosixPath
from typing import Final, Literal

from shared.documents.document import UnreadableDocumentError

Format = Literal["text", "code", "markdown", "html", "pdf", "docx", "csv", "tsv"]

MEDIA_TYPES: Final[dict[Format, str]] = {
    "text": "text/plain",
    "code": "text/plain",
    "markdown": "text/markdown",
    "html": "text/html",
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
}
_DECLARED: Final[dict[str, Format]] = {
    **{media_type: format for format, media_type in MEDIA_TYPES.items() if media_type != "text/plain"},
    "application/csv": "csv",
    "application/json": "code",
    "application/xhtml+xml": "html",
    "text/x-markdown": "markdown",
}
_CODE: Final = (
    "bash", "c", "cc", "cpp", "cs", "css", "go", "h", "hpp", "ini", "java", "js", "json", "jsonl", "jsx",
    "kt", "lua", "php", "pl", "proto", "ps1", "py", "r", "rb", "rs", "scala", "sh", "sql", "swift", "tex",
    "toml", "ts", "tsx", "xml", "yaml", "yml",
)  # fmt: skip
_EXTENSIONS: Final[dict[str, Format]] = {
    **dict.fromkeys(("md", "markdown", "mdown", "mkd"), "markdown"),
    **dict.fromkeys(("html", "htm", "xhtml"), "html"),
    **dict.fromkeys(("tsv", "tab"), "tsv"),
    **dict.fromkeys(_CODE, "code"),
    "csv": "csv",
    "docx": "docx",
    "pdf": "pdf",
}

_WANTED: Final = "Upload text, Markdown, HTML, PDF, DOCX, CSV or TSV."
_SIGNATURES: Final[tuple[tuple[bytes, str], ...]] = (
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an old or a password-protected Office file; save it as DOCX or PDF",
    ),
    (b"{\\rtf", "rich text (RTF); save it as DOCX or PDF"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"RIFF", "audio, video or an image"),
    (b"ID3", "audio"),
    (b"OggS", "audio"),
    (b"\x1f\x8b", "a gzip archive; upload what is inside"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive; upload what is inside"),
    (b"Rar!", "a RAR archive; upload what is inside"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"SQLite format 3", "a database; export its tables as CSV"),
    (b"PAR1", "a Parquet file; export it as CSV"),
    (b"%!PS", "PostScript; save it as PDF"),
)
_OFFICE: Final = {
    "xl/": "an Excel workbook; save each sheet as CSV",
    "ppt/": "a PowerPoint presentation; save it as PDF",
    "content.xml": "an OpenDocument file; save it as DOCX or PDF",
    "META-INF/container.xml": "an EPUB book; save it as HTML or PDF",
}
_HTML: Final = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*|<!--.*?-->\s*)*<(?:!doctype\s+html|html[\s>])", re.I | re.S
)
_BOMS: Final = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\x00\x00\xfe\xff")
_CONTROLS: Final = bytes(set(range(32)) - set(b"\t\n\x0b\x0c\r\x1b")) + b"\x7f"


def detect_format(data: bytes, filename: str, media_type: str | None) -> Format:
    """Decide how to read `data`. Raises `unsupported_file` with the name of what was uploaded instead."""
    sniffed = _sniff(data)
    if sniffed is not None:
        return sniffed
    named = _named(filename, media_type)
    if named not in ("pdf", "docx") and _is_binary(data):
        raise _unsupported("a binary file of a kind Weir does not know")
    return named


def _sniff(data: bytes) -> Format | None:
    """The format that the bytes themselves prove, if they do."""
    if b"%PDF-" in data[:1024]:
        return "pdf"
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _sniff_zip(data)
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            raise _unsupported(name)
    if data[4:12] in (b"ftypheic", b"ftypisom", b"ftypmp42", b"ftypM4A ", b"ftypqt  ", b"ftypavif"):
        raise _unsupported("audio, video or an image")
    if _HTML.match(data[:4096].removeprefix(b"\xef\xbb\xbf")):
        return "html"
    return None


def _sniff_zip(data: bytes) -> Format:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        message = "The file begins as a DOCX or ZIP but is damaged or cut short. Upload it again."
        raise UnreadableDocumentError("invalid_file", message) from error
    if any(name.startswith("word/") for name in names):
        return "docx"
    for start, description in _OFFICE.items():
        if any(name.startswith(start) for name in names):
            raise _unsupported(description)
    raise _unsupported("a ZIP archive; upload what is inside")


def _named(filename: str, media_type: str | None) -> Format:
    """What the media type says; a general type (text/plain, octet-stream) leaves it to the extension."""
    declared = (media_type or "").partition(";")[0].strip().lower()
    extension = PurePosixPath(filename.lower()).suffix.removeprefix(".")
    return _DECLARED.get(declared) or _EXTENSIONS.get(extension) or "text"


def _is_binary(data: bytes) -> bool:
    """Two control characters, and one more in each hundred bytes, are too many for text in any encoding."""
    if data.startswith(_BOMS):
        return False
    controls = len(data) - len(data.translate(None, _CONTROLS))
    return controls > 2 + len(data) // 100


def _unsupported(what: str) -> UnreadableDocumentError:
    return UnreadableDocumentError("unsupported_file", f"The file is {what}. {_WANTED}")
