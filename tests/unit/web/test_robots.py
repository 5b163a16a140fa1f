"""robots.txt, and what pages say of themselves."""

import pytest

from shared.web.robots import MAX_CRAWL_DELAY, Directives, Ruling, read_directives, read_robots

TEXT = """
User-agent: *
Disallow: /private
Allow: /private/open
Crawl-delay: 3

User-agent: WeirBot
Disallow: /not-for-weir
Disallow: /*.secret$

User-agent: Rude
Disallow: /
"""


@pytest.mark.parametrize(
    ("product", "path", "allowed"),
    [
        ("OtherBot", "/", True),
        ("OtherBot", "/private/x", False),
        ("OtherBot", "/private/open", True),
        ("OtherBot", "/robots.txt", True),
        # The group that names a robot is the only one that counts for it (RFC 9309, 2.2.1).
        ("WeirBot", "/private/x", True),
        ("weirbot", "/not-for-weir/x", False),
        ("WeirBot", "/a.secret", False),
        ("WeirBot", "/a.secret?b", True),
        ("Rude", "/anything", False),
    ],
)
def test_read_robots(product: str, path: str, allowed: bool) -> None:
    assert read_robots(TEXT, f"https://example.com{path}", product).allowed is allowed


def test_no_text_allows_everything() -> None:
    assert read_robots("", "https://example.com/a", "WeirBot") == Ruling(allowed=True, crawl_delay=0.0)


@pytest.mark.parametrize(
    "text", ["<!doctype html><p>Not found", "\0\1\2", "Disallow", "User-agent: *\nDisallow:"]
)
def test_what_is_no_robots_txt_allows_everything(text: str) -> None:
    assert read_robots(text, "https://example.com/a", "WeirBot").allowed


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("Crawl-delay: 3", 3.0),
        ("Crawl-delay: 0.5", 0.5),
        ("Crawl-delay: soon", 0.0),
        ("Crawl-delay: -4", 0.0),
        ("Crawl-delay: 1e9", MAX_CRAWL_DELAY),
        ("Request-rate: 1/5", 5.0),
        ("Request-rate: 10/1m", 6.0),
        ("Crawl-delay: 2\nRequest-rate: 1/5", 5.0),
    ],
)
def test_crawl_delay(line: str, seconds: float) -> None:
    assert read_robots(f"User-agent: *\n{line}\n", "https://example.com/", "WeirBot").crawl_delay == seconds


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], Directives()),
        (["index, follow"], Directives()),
        (["noindex"], Directives(noindex=True)),
        (["NoIndex , NOFOLLOW"], Directives(noindex=True, nofollow=True)),
        (["none"], Directives(noindex=True, nofollow=True)),
        (["noindex", "nofollow"], Directives(noindex=True, nofollow=True)),
        (["googlebot: noindex"], Directives()),
        (["weirbot: noindex"], Directives(noindex=True)),
        (["googlebot: noindex, weirbot: nofollow"], Directives(nofollow=True)),
        (["googlebot: noindex, nofollow"], Directives()),
        (["unavailable_after: 25 Jun 2030 15:00:00 PST, noindex"], Directives(noindex=True)),
        (["max-snippet:20, nofollow"], Directives(nofollow=True)),
        (["noindexes"], Directives()),
    ],
)
def test_read_directives(values: list[str], expected: Directives) -> None:
    assert read_directives(values, "WeirBot") == expected
