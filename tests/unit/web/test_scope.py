"""Which links a crawl follows."""

import time

import pytest

from shared.web.scope import admits, is_trap
from shared.web.scrape_models import CrawlRules


@pytest.mark.parametrize(
    ("url", "host", "domain"),
    [
        ("https://example.com/a", True, True),
        ("http://www.example.com/a", True, True),
        ("https://docs.example.com/a", False, True),
        ("https://a.docs.example.com/a", False, True),
        ("https://notexample.com/a", False, False),
        ("https://example.com.evil.test/a", False, False),
        ("https://example.com:8080/a", False, False),
        ("https://example.org/a", False, False),
    ],
)
def test_scope(url: str, host: bool, domain: bool) -> None:
    assert admits(CrawlRules(scope="host"), "example.com", url) is host
    assert admits(CrawlRules(scope="domain"), "example.com", url) is domain


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/docs/*", "/docs/a/b", True),
        ("/docs/*", "/docs", False),
        ("/docs/*", "/v2/docs/a", False),
        ("*/docs/*", "/v2/docs/a", True),
        ("/a", "/a", True),
        ("/a", "/a?b=1", False),
        ("/a?b=*", "/a?b=1", True),
        ("/*.pdf", "/a.b.pdf", True),
        ("/*.pdf", "/a.pdf.html", False),
        ("/a.c", "/abc", False),
        ("https://example.com/*", "/x", True),
        ("http://example.com/*", "/x", False),
    ],
)
def test_patterns(pattern: str, path: str, matches: bool) -> None:
    url = f"https://example.com{path}"
    assert admits(CrawlRules(include=(pattern,)), "example.com", url) is matches
    assert admits(CrawlRules(exclude=(pattern,)), "example.com", url) is not matches


def test_what_is_excluded_is_not_included() -> None:
    rules = CrawlRules(include=("/docs/*", "/blog/*"), exclude=("*/draft/*",))
    assert admits(rules, "example.com", "https://example.com/blog/a")
    assert not admits(rules, "example.com", "https://example.com/blog/draft/a")


def test_no_pattern_takes_long() -> None:
    rules = CrawlRules(include=("*a" * 200 + "b",))
    began = time.perf_counter()
    assert not admits(rules, "example.com", "https://example.com/" + "a" * 2_000)
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    ("path", "trap"),
    [
        ("/a/b/c/d", False),
        ("/2024/05/05/05", False),
        ("/a/b/a/b/a/b/a", True),
        ("/next/next/next/next", True),
        ("/" + "/".join(map(str, range(21))), True),
    ],
)
def test_traps(path: str, trap: bool) -> None:
    assert is_trap(f"https://example.com{path}") is trap
