"""URLs as the identity of pages: one spelling for each, and which belong to one site."""

import re
from urllib.parse import urljoin, urlsplit, urlunsplit

from shared.errors import InvalidRequestError

# Longer ones are traps more often than pages, and would not fit a key of the database.
MAX_LENGTH = 2_048

# After IDNA: names and IPv4 addresses, or an IPv6 address in brackets; no escapes, no zone.
_HOST = re.compile(r"[a-z0-9_][a-z0-9._-]*|\[[0-9a-f:.]+\]")

_DEFAULT_PORTS = {"http": 80, "https": 443}

# A path from the root that has one spelling, and no segment that begins with a dot.
_PLAIN_PATH = r"(?:/(?!\.)[A-Za-z0-9_!$&'()*+,:=@~.-]*)+"
# What most links of most pages are: in its one spelling already, but for a fragment.
_PLAIN = re.compile(rf"(https?://[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)*{_PLAIN_PATH})(?:#[!-~]*)?")
_ROOTED = re.compile(rf"(?!//){_PLAIN_PATH}(?:\?[!$-~]+)?")


def normalise(url: str) -> str:
    """The one spelling of `url`: canonical escapes, sorted query, no fragment, no default port.

    Raises:
        InvalidRequestError: Not an http or https URL, with credentials in it, or longer than `MAX_LENGTH`.
    """
    url = url.strip()
    plain = _PLAIN.fullmatch(url)  # takes a tenth of the time of what follows
    spelled = plain[1] if plain else _spelled(url)
    if len(spelled) > MAX_LENGTH:
        raise InvalidRequestError(f"A URL may have {MAX_LENGTH:,} characters; this has more.", param="url")
    return spelled


def _spelled(url: str) -> str:
    from w3lib.url import canonicalize_url

    try:
        parts = urlsplit(canonicalize_url(url))
        port = parts.port
    except ValueError as error:
        raise InvalidRequestError(f"{url[:200]!r} is not a URL.", param="url") from error
    if "@" in parts.netloc:
        raise InvalidRequestError("A URL with a user name or password is not fetched.", param="url")
    host = _host(parts.hostname or "")
    if parts.scheme not in _DEFAULT_PORTS or not _HOST.fullmatch(host):
        raise InvalidRequestError(f"{url[:200]!r} is not an http or https URL.", param="url")
    netloc = host if port in (None, _DEFAULT_PORTS[parts.scheme]) else f"{host}:{port}"
    return urlunsplit((parts.scheme, netloc, parts.path or "/", parts.query, ""))


def resolve(base: str, href: str) -> str:
    """`href` as seen from `base`, a normalised URL: as `urljoin`, and quicker for a path from the root.

    Raises:
        ValueError: What came out is broken, as `http://[`.
    """
    return origin(base) + href if _ROOTED.fullmatch(href) else urljoin(base, href)


def origin(url: str) -> str:
    """Scheme, host and port of a normalised URL: what one robots.txt speaks for (RFC 9309, 2.3)."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def host_and_port(url: str) -> str:
    """`host:port` of an http or https URL, the port always there: the form in which hosts are permitted."""
    parts = urlsplit(url)
    host = _host(parts.hostname or "")
    return f"{host}:{parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)}"


def host_of(url: str) -> str:
    """Host of a normalised URL, with its port if that is not the usual one: whose patience a visit costs."""
    return urlsplit(url).netloc


def same_site(url: str, other: str) -> bool:
    """Whether two normalised URLs are of one site: the same host, but for a leading `www.`, and port."""
    return site_of(url) == site_of(other)


def site_of(url: str) -> str:
    """The site of a normalised URL: its host without a leading `www.`, with a port that is not the usual."""
    return host_of(url).removeprefix("www.")


def _host(name: str) -> str:
    name = name.lower().rstrip(".")
    return f"[{name}]" if ":" in name else name
