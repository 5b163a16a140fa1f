"""Very large pages, looked through without a tree."""

import pytest

from shared.web.robots import Directives
from shared.web.skim import skim

URL = "https://example.com/dir/page"


def test_what_a_page_says_of_itself() -> None:
    html = """
        <html><head><title>Tom &amp;
        Ann</title><base href="/other/"><meta name=Robots content="noindex"></head>
        <body><a href=" a#part ">A</a><a href=a>again</a><a rel="NoFollow" href=b>B</a><a>no</a>
        <a href="mailto:x@example.com">mail</a><a href="http://[">broken</a>
        <map><area href="/c?b=2&a=1"></map>
        <svg><title>not this</title></svg>"""
    skimmed = skim(html, url=URL, product="weir")
    assert skimmed.title == "Tom & Ann"
    assert skimmed.links == ("https://example.com/other/a", "https://example.com/c?a=1&b=2")
    assert skimmed.directives == Directives(noindex=True)


def test_directives_to_another_robot_do_not_count() -> None:
    html = '<meta name=otherbot content=none><meta name=WEIR content=nofollow><a href="/a">a</a>'
    assert skim(html, url=URL, product="Weir").directives == Directives(nofollow=True)


def test_a_page_of_any_size_and_depth() -> None:
    html = "<div>" * 300_000 + "".join(f"<a href=/{number}>" for number in range(20_000))
    skimmed = skim(html, url=URL, product="weir")
    assert len(skimmed.links) == 10_000
    assert (skimmed.title, skimmed.directives) == (None, Directives())


@pytest.mark.parametrize("html", ["", "<" * 300_000, "<!-- " * 10, "\0<\0", "</p>", "<!doctype html>"])
def test_a_page_without_anything(html: str) -> None:
    assert skim(html, url=URL, product="weir").links == ()
