"""Which parser reads a file: what its bytes say first, then the declared media type, then its extension."""

import re
import zipfile
from pathlib import PurePosixPath
from typing import Final, Literal

from shared.charset.detect import unmarked_utf16
from shared.documents.document import UnreadableDocumentError
from shared.documents.source import Source

Format = Literal[
    "text", "code", "markdown", "html", "pdf", "docx", "pptx", "xlsx", "csv", "tsv", "json", "jsonl", "epub",
    "eml", "png", "jpeg", "gif", "webp",
]  # fmt: skip
# Those that only a vision model can turn into text.
IMAGES: Final = frozenset[Format](("png", "jpeg", "gif", "webp"))

MEDIA_TYPES: Final[dict[Format, str]] = {
    "text": "text/plain",
    "code": "text/plain",
    "markdown": "text/markdown",
    "html": "text/html",
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "epub": "application/epub+zip",
    "eml": "message/rfc822",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
}
# These begin with bytes of their own, so that a file without them is damaged or something else.
_PROVEN: Final = frozenset[Format](("pdf", "docx", "pptx", "xlsx", "epub"))
_DECLARED: Final[dict[str, Format]] = {
    **{
        media_type: format
        for format, media_type in MEDIA_TYPES.items()
        if media_type != "text/plain" and format not in IMAGES
    },
    "application/csv": "csv",
    "application/x-ndjson": "jsonl",
    "application/xhtml+xml": "html",
    "text/json": "json",
    "text/x-markdown": "markdown",
}
_CODE: Final = (
    "bash", "c", "cc", "cpp", "cs", "css", "go", "h", "hpp", "ini", "java", "js", "jsx", "kt",
    "lua", "php", "pl", "proto", "ps1", "py", "r", "rb", "rs", "scala", "sh", "sql", "swift", "tex",
    "toml", "ts", "tsx", "xml", "yaml", "yml",
)  # fmt: skip
_EXTENSIONS: Final[dict[str, Format]] = {
    **dict.fromkeys(("md", "markdown", "mdown", "mkd"), "markdown"),
    **dict.fromkeys(("html", "htm", "xhtml"), "html"),
    **dict.fromkeys(("tsv", "tab"), "tsv"),
    **dict.fromkeys(_CODE, "code"),
    **dict.fromkeys(("json", "geojson"), "json"),
    **dict.fromkeys(("jsonl", "ndjson"), "jsonl"),
    **dict.fromkeys(("docx", "docm"), "docx"),
    **dict.fromkeys(("pptx", "pptm", "ppsx"), "pptx"),
    **dict.fromkeys(("xlsx", "xlsm"), "xlsx"),
    "csv": "csv",
    "eml": "eml",
    "epub": "epub",
    "pdf": "pdf",
}

_WANTED: Final = (
    "Upload text, Markdown, HTML, PDF, DOCX, PPTX, XLSX, CSV, TSV, JSON, JSONL, EPUB, e-mail (EML), PNG, "
    "JPEG, GIF or WebP."
)
_IMAGE_SIGNATURES: Final[dict[bytes, Format]] = {
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpeg",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
}
_SIGNATURES: Final[tuple[tuple[bytes, str], ...]] = (
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an old or a password-protected Office file; save it as DOCX, PPTX or XLSX without a password",
    ),
    (b"{\\rtf", "rich text (RTF); save it as DOCX or PDF"),
    (b"II*\x00", "a TIFF image; save it as PNG or PDF"),
    (b"MM\x00*", "a TIFF image; save it as PNG or PDF"),
    (b"RIFF", "audio or video"),
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
_PACKAGES: Final[tuple[tuple[str, Format], ...]] = (
    ("word/document", "docx"),
    ("ppt/presentation.xml", "pptx"),
    ("xl/workbook.xml", "xlsx"),
    ("META-INF/container.xml", "epub"),
    ("word/", "docx"),
)
_OTHER_PACKAGES: Final = {
    "xl/workbook.bin": "a binary Excel workbook; save it as XLSX",
    "content.xml": "an OpenDocument file; save it as DOCX, XLSX, PPTX or PDF",
    "Index/Document.iwa": "an Apple Pages, Numbers or Keynote file; export it as PDF",
}
_HTML: Final = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*|<!--.*?-->\s*)*<(?:!doctype\s+html|html[\s>])", re.I | re.S
)
_BOMS: Final = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\x00\x00\xfe\xff")
_CONTROLS: Final = bytes(set(range(32)) - set(b"\t\n\x0b\x0c\r\x1b")) + b"\x7f"


def detect_format(source: Source, filename: str, media_type: str | None) -> Format:
    """Decide how to read a file. Raises `unsupported_file` with the name of what was uploaded instead."""
    head = source.head()
    sniffed = _sniff(head, source)
    if sniffed is not None:
        return sniffed
    named = _named(filename, media_type)
    if named not in _PROVEN and _is_binary(head):
        raise _unsupported("a binary file of a kind Weir does not know")
    return named


def _sniff(head: bytes, source: Source) -> Format | None:
    """The format that the bytes themselves prove, if they do."""
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _sniff_zip(source)
    image = _sniff_image(head)
    if image is not None:
        return image
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            raise _unsupported(name)
    if head[4:12] in (b"ftypheic", b"ftypisom", b"ftypmp42", b"ftypM4A ", b"ftypqt  ", b"ftypavif"):
        raise _unsupported("audio, video or an image; save an image as PNG or JPEG")
    if _HTML.match(head[:4096].removeprefix(b"\xef\xbb\xbf")):
        return "html"
    return None


def _sniff_image(head: bytes) -> Format | None:
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    return next((format for mark, format in _IMAGE_SIGNATURES.items() if head.startswith(mark)), None)


def _sniff_zip(source: Source) -> Format:
    try:
        with source.open() as file, zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        message = "The file begins as an Office file or a ZIP but is damaged or cut short. Upload it again."
        raise UnreadableDocumentError("invalid_file", message) from error
    for start, format in _PACKAGES:
        if any(name.startswith(start) for name in names):
            return format
    for start, description in _OTHER_PACKAGES.items():
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
    if data.startswith(_BOMS) or unmarked_utf16(data):
        return False
    controls = len(data) - len(data.translate(None, _CONTROLS))
    return controls > 2 + len(data) // 100


def _unsupported(what: str) -> UnreadableDocumentError:
    return UnreadableDocumentError("unsupported_file", f"The file is {what}. {_WANTED}")
