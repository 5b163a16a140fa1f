"""What an answer other than 2xx means."""

from datetime import UTC, datetime

import pytest

from shared.web.answer import Fetched, unsuccessful

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def answer(status: int, retry_after: str | None = None) -> Fetched:
    return Fetched(
        url="https://example.com/",
        status=status,
        media_type="",
        charset=None,
        body=b"",
        truncated=False,
        robots=(),
        retry_after=retry_after,
        content_disposition=None,
    )


@pytest.mark.parametrize(
    ("status", "transient"),
    [
        *((status, False) for status in (304, 401, 403, 404, 410, 501)),
        *((status, True) for status in (408, 425, 429, 500, 502, 503, 504)),
    ],
)
def test_what_may_be_tried_again(status: int, transient: bool) -> None:
    failure = unsuccessful(answer(status), NOW)
    assert failure.transient is transient
    assert str(status) in failure.reason


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("Tue, 24 Nov 2026 12:02:00 GMT", 120.0),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0.0),
        ("Tue, 24 Nov 2026 12:02:00", None),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert unsuccessful(answer(503, header), NOW).retry_after == seconds
