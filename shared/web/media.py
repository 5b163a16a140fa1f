"""Which media types are pages or documents that ingestion reads, and which links may lead to them."""

from email.message import Message
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

HTML = "text/html"

_DOCUMENTS = {
    ".csv": "text/csv",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".epub": "application/epub+zip",
    ".md": "text/markdown",
    ".pdf": "application/pdf",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".tsv": "text/tab-separated-values",
    ".txt": "text/plain",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_EXTENSIONS = {media_type: extension for extension, media_type in _DOCUMENTS.items()} | {
    "application/csv": ".csv"
}
_PAGES = frozenset((HTML, "application/xhtml+xml"))

_NAME_LENGTH = 200

# What servers say of files whose type they do not know, and of tables of any kind.
_UNKNOWN = frozenset(("", "application/octet-stream", "binary/octet-stream", "application/vnd.ms-excel"))

# Extensions of what is never a page or a document.
# fmt: off
_NEVER = frozenset((
    ".7z", ".apk", ".avi", ".avif", ".bin", ".bmp", ".bz2", ".css", ".deb", ".dmg", ".eot", ".exe",
    ".flac", ".gif", ".gz", ".ico", ".iso", ".jar", ".jpeg", ".jpg", ".js", ".json", ".m4a", ".m4v",
    ".mjs", ".mkv", ".mov", ".mp3", ".mp4", ".mpeg", ".msi", ".ogg", ".otf", ".png", ".rar", ".rpm",
    ".rss", ".svg", ".swf", ".tar", ".tgz", ".tif", ".tiff", ".ttf", ".wasm", ".wav", ".webm",
    ".webp", ".woff", ".woff2", ".xml", ".xz", ".zip",
))
# fmt: on


def is_wanted(media_type: str) -> bool:
    """Whether an answer of this type may be worth reading; of one that says nothing, it may."""
    return media_type in _PAGES or media_type in _EXTENSIONS or media_type in _UNKNOWN


def may_be_wanted(url: str) -> bool:
    """Whether a link may lead to a page or a document, by its extension."""
    return _extension(url) not in _NEVER


def settle(media_type: str, url: str, body: bytes) -> str | None:
    """`HTML`, or the media type of a document that is kept as it is; `None` for anything else.

    Where the header says nothing, the extension of the URL does, or else that the body begins with a tag.
    """
    if media_type in _UNKNOWN:
        guess = HTML if body[:256].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") else None
        return _DOCUMENTS.get(_extension(url), guess)
    if media_type in _PAGES:
        return HTML
    return media_type if media_type in _EXTENSIONS else None


def filename(media_type: str, url: str, content_disposition: str | None) -> str:
    """A document's own name, by the header or else the URL, with the extension of its type if it has none."""
    path = urlsplit(url)
    name = _announced(content_disposition) or _last(unquote(path.path)) or path.hostname or "document"
    return name if PurePosixPath(name.lower()).suffix in _DOCUMENTS else name + _EXTENSIONS[media_type]


def _announced(content_disposition: str | None) -> str:
    if content_disposition is None:
        return ""
    message = Message()
    message["Content-Disposition"] = content_disposition
    return _last(message.get_filename() or "")


def _last(path: str) -> str:
    """The last part of a path, without what no file name should have."""
    name = PurePosixPath(path.replace("\\", "/")).name
    return "".join(character for character in name if character.isprintable())[:_NAME_LENGTH]


def _extension(url: str) -> str:
    return PurePosixPath(urlsplit(url).path.lower()).suffix
