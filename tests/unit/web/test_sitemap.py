"""Sitemaps: XML, text, gzip, broken and hostile."""

import gzip

import pytest

from shared.web.answer import FetchFailedError, FetchRefusedError
from shared.web.sitemap import Sitemap, is_sitemap, read_sitemap

NS = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
PAGES = f"""<?xml version="1.0" encoding="UTF-8"?>
<urlset {NS} xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
<url><loc> https://example.com/a?b=1&amp;a=2#x </loc><lastmod>2024-05-06</lastmod></url>
<url><loc>https://example.com/b</loc><image:image><image:loc>https://example.com/b.png</image:loc></image:image></url>
<url><loc>not a url</loc></url><url><loc>https://example.com/b</loc></url>
</urlset>""".encode()


def test_pages_are_read_once_each_in_order() -> None:
    wanted = Sitemap(pages=("https://example.com/a?a=2&b=1", "https://example.com/b"))
    assert read_sitemap(PAGES) == wanted
    assert read_sitemap(gzip.compress(PAGES)) == wanted
    assert read_sitemap(PAGES.replace(NS.encode(), b"")) == wanted


def test_an_index_names_sitemaps() -> None:
    index = f"<sitemapindex {NS}><sitemap><loc>https://example.com/1.xml.gz</loc></sitemap></sitemapindex>"
    assert read_sitemap(index.encode()) == Sitemap(sitemaps=("https://example.com/1.xml.gz",))


def test_text_has_a_url_a_line() -> None:
    assert read_sitemap(
        b"\xef\xbb\xbfhttps://example.com/a\r\n\r\nnonsense\nhttps://example.com/b"
    ).pages == (
        "https://example.com/a",
        "https://example.com/b",
    )


@pytest.mark.parametrize("end", [200, 330, len(PAGES) - 5])
def test_what_is_cut_short_gives_what_it_has(end: int) -> None:
    assert set(read_sitemap(PAGES[:end]).pages) <= {"https://example.com/a?a=2&b=1", "https://example.com/b"}


def test_entities_are_not_followed() -> None:
    bomb = b"<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'>" + b"".join(
        f"<!ENTITY {chr(98 + i)} '{('&' + chr(97 + i) + ';') * 10}'>".encode() for i in range(9)
    )
    file = b"<!DOCTYPE x [<!ENTITY f SYSTEM 'file:///etc/passwd'>]><urlset><url><loc>&f;</loc></url></urlset>"
    assert read_sitemap(bomb + b"]><urlset><url><loc>&j;</loc></url></urlset>") == Sitemap()
    assert read_sitemap(file) == Sitemap()


def test_what_unpacks_to_too_much_is_refused() -> None:
    with pytest.raises(FetchRefusedError, match="more than"):
        read_sitemap(gzip.compress(b"\0" * 60 * 1024 * 1024, 1))


def test_broken_gzip_is_a_failure() -> None:
    with pytest.raises(FetchFailedError):
        read_sitemap(gzip.compress(PAGES)[:-20])


def test_media_types() -> None:
    assert is_sitemap("application/xml")
    assert is_sitemap("application/x-gzip")
    assert not is_sitemap("text/html")
    assert not is_sitemap("image/png")
