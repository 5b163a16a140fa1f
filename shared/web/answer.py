"""What a fetch comes to: an answer, a refusal or a failure."""

from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

# What the server may answer otherwise a little later.
_TRANSIENT = frozenset((408, 425, 429, 500, 502, 503, 504))


class FetchError(Exception):
    """A URL was not fetched. `reason` is for people, and names no address."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class FetchRefusedError(FetchError):
    """Weir does not fetch this: a private address, a scheme, a size, a media type, robots.txt."""


class FetchFailedError(FetchError):
    """The fetch did not succeed. When `transient`, a later one may, after `retry_after` seconds if known."""

    def __init__(self, reason: str, *, transient: bool, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.transient = transient
        self.retry_after = retry_after


class TooManyRedirectsError(FetchFailedError):
    """The redirects did not end."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} redirects", transient=False)


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """The answer at the end of the redirects, whatever its status.

    `url` is normalised. `media_type` is lower-case without parameters, "" when the server named none.
    `charset` is the header's label. `robots` holds every `X-Robots-Tag`. `truncated` says that the body is
    only the beginning of what was sent. The body of an answer other than 2xx is not read. `etag` and
    `last_modified` are the validators of a later conditional request.
    """

    url: str
    status: int
    media_type: str
    charset: str | None
    body: bytes
    truncated: bool
    robots: tuple[str, ...]
    retry_after: str | None
    content_disposition: str | None
    etag: str | None = None
    last_modified: str | None = None


def unsuccessful(answer: Fetched, now: datetime) -> FetchFailedError:
    """The failure that an answer other than 2xx means."""
    return FetchFailedError(
        f"status {answer.status}",
        transient=answer.status in _TRANSIENT,
        retry_after=_seconds(answer.retry_after, now),
    )


def _seconds(retry_after: str | None, now: datetime) -> float | None:
    """`Retry-After` is a number of seconds or a date (RFC 9110, 10.2.3); anything else is as if not there."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - now).total_seconds())
    except (ValueError, TypeError):
        return None
