"""HTML to Markdown, links, and what a page says of itself."""

from datetime import date

import pytest

from shared.web.extract import Page, extract
from shared.web.extraction.words import words_of
from shared.web.robots import Directives
from shared.web.simhash import simhash

PAGE = """<!doctype html><html lang="en-GB"><head><meta charset="utf-8"><title>Widgets | Example</title>
<link rel="canonical" href="/docs/widgets"><meta property="og:title" content="All about widgets">
<meta property="article:published_time" content="2024-05-06T07:08:09Z"></head><body>
<nav><a href="/">Home</a> <a href="/about">About us</a></nav>
<article><h1>All about widgets</h1>
<p>A widget is a small thing that people make in many places, and there is a
<a href="gadgets?b=1&amp;a=2#top">page on gadgets</a>, which tells more of the history of these devices.
<img src="small.png" alt="a small widget"></p>
<h2>Sizes</h2>
<p>They come in two sizes, as the following table shows in detail for everyone who wants to know.</p>
<table><tr><th>Size</th><th>Price</th></tr><tr><td>Small</td><td>1 €</td></tr>
<tr><td>Large</td><td>2 €</td></tr></table>
<ul><li>The first thing in a list</li><li>The second thing in a list</li></ul>
<pre><code>def widget():
    return 1
</code></pre>
<p><a href="mailto:a@example.com">mail</a> <a href="javascript:void(0)">nothing</a> <a href="http://[">broken</a>
<a rel="external nofollow" href="/private">private</a> <a href="https://other.example/x">elsewhere</a>
<a href="gadgets?a=2&amp;b=1">gadgets again</a> <a href="#sizes">sizes</a></p></article>
<footer><p>All rights reserved by the Example company.</p></footer></body></html>"""


def read(html: str, url: str = "https://example.com/docs/widgets/") -> Page:
    return extract(html.encode(), url=url, charset=None, product="WeirBot")


def article(head: str = "", body: str = "") -> str:
    text = "<p>The river rises in the hills and flows through three towns before it meets the sea.</p>"
    return f"<html><head>{head}</head><body><article>{body}{text}</article></body></html>"


def test_a_page_becomes_markdown() -> None:
    markdown = read(PAGE).markdown
    assert markdown.startswith("# All about widgets\n\nA widget is a small thing")
    assert markdown.count("All about widgets") == 1
    assert "\n## Sizes\n" in markdown
    assert "| Size | Price |" in markdown
    assert "| Large | 2 € |" in markdown
    assert "- The second thing in a list" in markdown
    assert "```\ndef widget():\n    return 1\n```" in markdown


def test_boilerplate_is_left_out() -> None:
    markdown = read(PAGE).markdown
    assert "About us" not in markdown
    assert "All rights reserved" not in markdown


def test_markdown_has_links_and_images_and_text_the_words_alone() -> None:
    page = read(PAGE)
    link = "[page on gadgets](https://example.com/docs/widgets/gadgets?b=1&a=2#top)"
    assert f"there is a {link}, which tells more" in page.markdown
    assert "![a small widget](https://example.com/docs/widgets/small.png)" in page.markdown
    assert "there is a page on gadgets, which tells more" in page.text
    assert "http" not in page.text


def test_links_are_normalised_each_once_without_those_not_to_follow() -> None:
    assert read(PAGE).links == (
        "https://example.com/",
        "https://example.com/about",
        "https://example.com/docs/widgets/gadgets?a=2&b=1",
        "https://other.example/x",
        "https://example.com/docs/widgets/",
    )


def test_what_a_page_says_of_itself() -> None:
    page = read(PAGE)
    assert page.title == "All about widgets"
    assert page.language == "en-GB"
    assert page.published == date(2024, 5, 6)
    assert page.canonical_url == "https://example.com/docs/widgets"
    assert page.directives == Directives()
    assert page.simhash == simhash(words_of(page.text))


def test_json_ld_and_open_graph_say_who_wrote_a_page() -> None:
    head = """<meta property="og:site_name" content="The River Post">
    <meta property="og:description" content="How a river runs.">
    <script type="application/ld+json">{"@context": "https://schema.org", "@type": "NewsArticle",
    "headline": "The river", "datePublished": "2025-02-03", "author": {"@type": "Person", "name": "Ada Hill"}}
    </script>"""
    page = read(article(head))
    assert page.author == "Ada Hill"
    assert page.site_name == "The River Post"
    assert page.description == "How a river runs."
    assert page.published == date(2025, 2, 3)


@pytest.mark.parametrize(
    "byline",
    [
        f'<p class="{name}">Ada Hill</p>'
        for name in (
            "author", "the-author-name", "AuthorName", "byline", "Byline", "byl", "BBL", "username",
            "screenname", "channel-name", "zuozhe", "bianji", "xiaobian", "submitted-by", "posted-by",
            "journalist-name", "writer",
        )
    ]
    + [f'<p id="{name}">Ada Hill</p>' for name in ("author", "theAuthor", "zuozhe", "bianji", "xiaobian")]
    + [
        '<a rel="author">Ada Hill</a>',
        "<author>Ada Hill</author>",
        '<p itemprop="author name">Ada Hill</p>',
        '<h3 itemprop="the-author">Ada Hill</h3>',
        '<div data-testid="AuthorCard">Ada Hill</div>',
        '<em data-component="Byline-1">Ada Hill</em>',
    ],
)  # fmt: skip
def test_a_byline_names_the_author_where_no_tag_does(byline: str) -> None:
    assert read(article("", byline)).author == "Ada Hill"


def test_json_ld_of_an_odd_shape_hides_nothing_else() -> None:
    odd = '{"@context": "https://schema.org", "@graph": [[{"@type": "Organization"}]]}'
    head = f'<meta property="og:title" content="The river"><script type="application/ld+json">{odd}</script>'
    assert read(article(head)).title == "The river"


def test_the_host_is_no_name_of_a_site() -> None:
    assert read(article(), url="https://news.example.com/river").site_name is None


def test_a_title_becomes_a_heading_where_the_text_has_none() -> None:
    page = read(article("<title>The river</title>"))
    assert page.markdown.startswith("# The river\n\nThe river rises")


def test_the_heading_of_the_text_is_its_title() -> None:
    page = read(article("<title>Rivers - My site</title>", "<h1>A river</h1>"))
    assert page.title == "A river"
    assert page.markdown.startswith("# A river\n\nThe river rises")
    assert "My site" not in page.markdown


def test_a_title_is_one_line_of_sensible_length() -> None:
    page = read(article("<title> The\n river\x07 " + "and more " * 1_000 + "</title>"))
    assert page.title is not None
    assert page.title.startswith("The river and more and more")
    assert len(page.title) <= 300
    assert page.markdown.startswith(f"# {page.title}\n\n")


def test_no_title_is_no_heading() -> None:
    page = read(article())
    assert page.title is None
    assert page.markdown.startswith("The river rises")


@pytest.mark.parametrize(
    ("base", "link"),
    [
        ("https://example.com/other/", "https://example.com/other/a"),
        ("/root/", "https://example.com/root/a"),
        ("http://[broken", "https://example.com/docs/a"),
    ],
)
def test_links_follow_the_base_of_the_page(base: str, link: str) -> None:
    html = article(f'<base href="{base}">', '<a href="a">A</a>')
    assert read(html, "https://example.com/docs/page").links == (link,)


@pytest.mark.parametrize(
    ("canonical", "accepted"),
    [
        ("https://www.example.com/x", "https://www.example.com/x"),
        ("https://other.example/x", None),
        ("", "https://example.com/docs/widgets/"),
        ("http://[broken", None),
    ],
)
def test_a_canonical_url_is_one_of_the_same_site(canonical: str, accepted: str | None) -> None:
    assert read(article(f'<link rel="canonical" href="{canonical}">')).canonical_url == accepted


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("robots", "noindex", Directives(noindex=True)),
        ("ROBOTS", "NOFOLLOW", Directives(nofollow=True)),
        ("weirbot", "none", Directives(noindex=True, nofollow=True)),
        ("googlebot", "noindex", Directives()),
    ],
)
def test_directives(name: str, content: str, expected: Directives) -> None:
    assert read(article(f'<meta name="{name}" content="{content}">')).directives == expected


def test_chinese_pages_keep_their_text() -> None:
    html = """<html lang="zh-CN"><head><meta charset="gb2312"><title>北京的秋天</title></head><body><article>
    <h1>北京的秋天</h1><p>秋天的北京，天空高而蓝，香山的红叶吸引了来自各地的游客。人们在公园里散步、下棋、唱歌。</p>
    </article></body></html>"""
    page = extract(html.encode("gbk"), url="https://example.cn/", charset=None, product="WeirBot")
    assert page.language == "zh-CN"
    assert page.markdown.startswith("# 北京的秋天\n\n秋天的北京，天空高而蓝")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"just text",
        b"<p>x</p>",
        b"\0\1\2\3" * 100,
        b"<html><body></body></html>",
        b"<!-- never closed",
        b"<html><body>" + b"<div>" * 20_000 + b"deep",
        b"<html><body><p " + b"a=1 " * 20_000 + b">attributes",
        b'<?xml version="1.0" encoding="utf-16"?><html><body><p>lie</p></body></html>',
        b"<html><body><p>nul \0 inside</p></body></html>",
    ],
)
def test_broken_pages_are_read_as_far_as_they_go(body: bytes) -> None:
    page = extract(body, url="https://example.com/", charset=None, product="WeirBot")
    assert page.links == ()
