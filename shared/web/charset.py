"""From bytes to text: what a page says of its charset, tested against its bytes.

Labels lie often enough to be tested: a strict decode of a multi-byte charset rarely succeeds by accident,
while that of a single-byte charset always does and proves nothing. GB2312 and GBK are read as their superset
GB18030, as browsers do (https://encoding.spec.whatwg.org/#names-and-labels).
"""

from dataclasses import dataclass

from w3lib.encoding import html_body_declared_encoding, read_bom, resolve_encoding, to_unicode

_MULTI_BYTE = frozenset(("utf-8", "gb18030", "big5hkscs", "cp932", "euc_jp", "iso2022_jp", "cp949"))
_UTF16 = frozenset(("utf-16", "utf-16-le", "utf-16-be"))
_SINGLE_BYTE = ("cp125", "cp866", "cp874", "iso8859", "koi8", "mac")

# The last resort of browsers for the West, where every byte is a character.
_LAST_RESORT = "cp1252"

# Characters from here on take three bytes or more in UTF-8.
_THREE_BYTES = "\u0800"


@dataclass(frozen=True)
class Decoded:
    """Text, and the Python name of the charset that it was read with."""

    text: str
    charset: str


def decode(body: bytes, label: str | None = None) -> Decoded:
    """Read `body` by the first that holds: byte order mark, label, UTF-8, the detector's guess, any label.

    Args:
        label: Charset of the `Content-Type` header. The page's own `<meta>` is read from `body`.
    """
    bom, mark = read_bom(body)
    if bom is not None and mark is not None:
        return Decoded(to_unicode(body[len(mark) :], bom), bom)
    labels = _labels(body, label)
    for charset in (*(name for name in labels if _testable(name, body)), "utf-8"):
        if (text := _strictly(body, charset)) is not None:
            return _unless_utf8(body, Decoded(text, charset))
    return _guessed(body, labels)


def _labels(body: bytes, header: str | None) -> list[str]:
    declared = html_body_declared_encoding(body[:8192])
    names = (resolve_encoding(header) if header else None, declared)
    return [name for name in names if name and _known(name)]


def _known(name: str) -> bool:
    return name in _MULTI_BYTE or name in _UTF16 or name.startswith(_SINGLE_BYTE)


def _testable(name: str, body: bytes) -> bool:
    # UTF-16 decodes nearly anything of even length; but markup in it has zero bytes, and other text has none.
    return name in _MULTI_BYTE or (name in _UTF16 and b"\0" in body[:1024])


def _strictly(body: bytes, charset: str) -> str | None:
    try:
        return body.decode(charset)
    except UnicodeDecodeError:
        return None


def _unless_utf8(body: bytes, decoded: Decoded) -> Decoded:
    """Short UTF-8 text can pass as GBK or Big5, while theirs hardly ever makes valid three-byte UTF-8."""
    if decoded.charset == "utf-8" or decoded.charset in _UTF16:
        return decoded
    text = _strictly(body, "utf-8")
    if text is not None and max(text, default="") >= _THREE_BYTES:
        return Decoded(text, "utf-8")
    return decoded


def _guessed(body: bytes, labels: list[str]) -> Decoded:
    guess = _detected(body)
    if guess in _MULTI_BYTE:
        # The detector takes some Chinese pages for Japanese ones, which the strict decode shows.
        for charset in (guess, "gb18030"):
            if (text := _strictly(body, charset)) is not None:
                return Decoded(text, charset)
        labels = [guess, *labels]
    # Of single-byte charsets the detector knows less than a label does.
    charset = next(iter(labels), guess or _LAST_RESORT)
    return Decoded(to_unicode(body, charset), charset)


def _detected(body: bytes) -> str | None:
    import cchardet

    name = cchardet.detect(body)["encoding"]
    resolved = resolve_encoding(name) if name else None
    return resolved if resolved and _known(resolved) else None
