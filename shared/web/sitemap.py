"""Sitemaps (https://www.sitemaps.org/protocol.html): XML, text or gzip of either, bounded in size."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from shared.errors import InvalidRequestError
from shared.web.answer import FetchFailedError, FetchRefusedError
from shared.web.inflate import CorruptBodyError, Inflater
from shared.web.urls import normalise

# URLs of one sitemap, by the protocol.
_URLS = 50_000
_BYTES = 50 * 1024 * 1024

_GZIP = b"\x1f\x8b"

_MEDIA_TYPES = frozenset(
    (
        "",
        "application/gzip",
        "application/octet-stream",
        "application/x-gzip",
        "application/xml",
        "application/rss+xml",
        "text/plain",
        "text/xml",
    )
)


@dataclass(frozen=True)
class Sitemap:
    """URLs of pages, and of further sitemaps; normalised, in the order of the file."""

    pages: tuple[str, ...] = ()
    sitemaps: tuple[str, ...] = ()


def is_sitemap(media_type: str) -> bool:
    """Whether an answer of this type may be a sitemap."""
    return media_type in _MEDIA_TYPES


def read_sitemap(body: bytes) -> Sitemap:
    """Read a sitemap or an index of them. What is broken in it is passed over; URLs without a scheme too.

    Raises:
        FetchRefusedError: Larger than 50 MB when unpacked.
        FetchFailedError: It cannot be unpacked.
    """
    body = _unpacked(body)
    if not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return Sitemap(pages=_normalised(body.decode("utf-8-sig", errors="replace").splitlines()))
    found: dict[str, list[str]] = {"url": [], "sitemap": []}
    locations = list(_locations(body))
    # What is cut short ends in the middle of a URL.
    for kind, url in locations if body.rstrip().endswith(b">") else locations[:-1]:
        found[kind].append(url)
    return Sitemap(_normalised(found["url"]), _normalised(found["sitemap"]))


def _unpacked(body: bytes) -> bytes:
    if not body.startswith(_GZIP):
        return body
    inflater, unpacked = Inflater("gzip"), bytearray()
    try:
        for piece in inflater.feed(body):
            unpacked += piece
            if len(unpacked) > _BYTES:
                raise FetchRefusedError(f"the sitemap has more than {_BYTES:,} bytes")
        inflater.finish()
    except CorruptBodyError:
        raise FetchFailedError("the sitemap cannot be unpacked", transient=False) from None
    return bytes(unpacked)


def _locations(body: bytes) -> Iterator[tuple[str, str]]:
    from lxml import etree

    # No entities, no DTD, no network: an XML bomb stays small.
    events = etree.iterparse(
        BytesIO(body), tag="{*}loc", recover=True, resolve_entities=False, load_dtd=False, no_network=True
    )
    try:
        for _, element in events:
            parent = element.getparent()
            kind = etree.QName(parent).localname if parent is not None else ""
            if kind in ("url", "sitemap") and element.text:
                yield kind, element.text
            if parent is not None and (above := parent.getparent()) is not None:
                # What was read is dropped, so that a large file takes little memory.
                for done in list(above)[:-1]:
                    above.remove(done)
    except etree.XMLSyntaxError:
        return


def _normalised(urls: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_each(urls[:_URLS])))


def _each(urls: list[str]) -> Iterator[str]:
    for url in urls:
        try:
            yield normalise(url)
        except InvalidRequestError:
            continue
