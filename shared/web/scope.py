"""Which links a crawl follows: those of its site that its rules admit and that are no trap."""

import re
from collections import Counter
from functools import lru_cache
from urllib.parse import urlsplit

from shared.web.scrape_models import CrawlRules
from shared.web.urls import site_of

# A path in which one part comes this often, or with so many parts, leads in circles: calendars do it, and
# relative links that are wrong.
_REPEATS = 3
_PARTS = 20


def admits(rules: CrawlRules, site: str, url: str) -> bool:
    """Whether a crawl that stays in `site` follows a link to `url`, which is normalised."""
    return within(rules, site, url) and _matches(rules, url) and not is_trap(url)


def within(rules: CrawlRules, site: str, url: str) -> bool:
    """Whether `url` is of `site`: that host, but for a leading `www.`; with scope `domain`, also below it."""
    host = site_of(url)
    return host == site or (rules.scope == "domain" and host.endswith(f".{site}"))


def is_trap(url: str) -> bool:
    """Whether the path of `url` looks like one of a site without end."""
    parts = [part for part in urlsplit(url).path.split("/") if part]
    return len(parts) > _PARTS or max(Counter(parts).values(), default=0) > _REPEATS


def _matches(rules: CrawlRules, url: str) -> bool:
    if any(_matched(pattern, url) for pattern in rules.exclude):
        return False
    return not rules.include or any(_matched(pattern, url) for pattern in rules.include)


def _matched(pattern: str, url: str) -> bool:
    """`*` stands for any characters; a pattern that begins with `/` is of path and query, else of the URL."""
    parts = urlsplit(url)
    text = url
    if pattern.startswith("/"):
        text = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return _regex(pattern).fullmatch(text) is not None


@lru_cache(maxsize=1_000)
def _regex(pattern: str) -> re.Pattern[str]:
    # Each part between two stars is found at its first place, for good: linear, whatever the pattern.
    first, *rest = (re.escape(part) for part in re.sub(r"\*+", "*", pattern).split("*"))
    if not rest:
        return re.compile(first, re.DOTALL)
    *middle, last = rest
    return re.compile(first + "".join(f"(?>.*?{part})" for part in middle) + f".*{last}", re.DOTALL)
