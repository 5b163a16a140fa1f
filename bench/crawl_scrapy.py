"""Scrapy over a site, as its users run it: follow links, make Markdown of each page, keep a file of each.

Run by Scrapy's own Python: `python crawl_scrapy.py START CONCURRENCY DIRECTORY [bare]`. With `bare` pages are
fetched and their links followed, and nothing else is done. Prints the pages and the seconds, as JSON.
"""

import hashlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import scrapy  # type: ignore[import-not-found]
from scrapy.crawler import CrawlerProcess  # type: ignore[import-not-found]
from scrapy.linkextractors import LinkExtractor  # type: ignore[import-not-found]


class Site(scrapy.Spider):  # type: ignore[misc]
    """Everything below the start page."""

    name = "site"
    links = LinkExtractor()
    pages = 0

    def __init__(self, start: str, directory: str, bare: bool) -> None:
        super().__init__()
        self.start_urls = [start]
        self.directory = Path(directory)
        self.bare = bare

    def parse(self, response: Any) -> Iterator[Any]:
        """Keep a page and follow its links."""
        Site.pages += 1
        if not self.bare:
            import trafilatura

            text = trafilatura.extract(
                response.text, url=response.url, output_format="markdown", with_metadata=True
            )
            name = hashlib.sha256(response.url.encode()).hexdigest()
            (self.directory / f"{name}.md").write_text(text or "")
        for link in self.links.extract_links(response):
            yield scrapy.Request(link.url)


def main(start: str, concurrency: str, directory: str, *mode: str) -> None:
    """Crawl once."""
    process = CrawlerProcess(
        {
            "CONCURRENT_REQUESTS": int(concurrency),
            "CONCURRENT_REQUESTS_PER_DOMAIN": int(concurrency),
            "DOWNLOAD_DELAY": 0,
            "ROBOTSTXT_OBEY": True,
            "LOG_LEVEL": "ERROR",
            "TELNETCONSOLE_ENABLED": False,
            "DEPTH_LIMIT": 0,
        }
    )
    process.crawl(Site, start=start, directory=directory, bare="bare" in mode)
    began = time.perf_counter()
    process.start()
    seconds = time.perf_counter() - began
    sys.stdout.write(json.dumps({"pages": Site.pages, "seconds": seconds}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
