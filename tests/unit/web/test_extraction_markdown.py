"""Pieces of a page, and the Markdown made of them."""

import lxml.html
import pytest

from shared.web.extraction.markdown import compose, plain
from shared.web.extraction.pieces import read_pieces


def markdown(html: str) -> str:
    """All of it, boilerplate and all."""
    return compose(read_pieces(lxml.html.document_fromstring(f"<html><body>{html}</body></html>")))


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<h2>Size <b>matters</b></h2><p>a</p>", "## Size matters\n\na"),
        ("<p>one<br>two<br><br>three</p>", "one\ntwo\n\nthree"),
        ("<div>loose <p>inner</p> tail</div>", "loose\n\ninner\n\ntail"),
        ("<p><b>bold </b>and <em>it</em></p>", "**bold** and *it*"),
        (
            '<p>see <a href="https://a.test/x y(1)">the page</a>.</p>',
            "see [the page](https://a.test/x%20y%281%29).",
        ),
        ('<p><a href="mailto:x@a.test">mail</a> <a href="#top">top</a></p>', "mail top"),
        (
            '<p><a href="https://a.test/">A</a><a href="https://b.test/">B</a></p>',
            "[A](https://a.test/) [B](https://b.test/)",
        ),
        ('<p><a href="https://a.test/">note [1</a></p>', "[note \\[1](https://a.test/)"),
        ('<a href="https://a.test/"><div>card</div></a>', "card"),
        ('<p><img src="https://a.test/i.png" alt="A  cat"></p>', "![A cat](https://a.test/i.png)"),
        (
            '<p>x<img src="data:x" data-src="https://a.test/i.png" alt="late"></p>',
            "x![late](https://a.test/i.png)",
        ),
        ('<p>x<img src="https://a.test/i.png"></p>', "x"),
        ("<p>call <code>f(x)</code></p>", "call `f(x)`"),
        ("<p>if a &lt; b then &lt;script></p>", "if a < b then \\<script>"),
        ("<p># not a heading</p><p>1. no item</p>", "\\# not a heading\n\n1\\. no item"),
        ("<blockquote><p>said</p><p>so</p></blockquote><p>he</p>", "> said\n>\n> so\n\nhe"),
    ],
)
def test_text(html: str, expected: str) -> None:
    assert markdown(html) == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
        ('<ol start="3"><li>a</li><li>b</li></ol>', "3. a\n4. b"),
        ("<ol><li>a<ul><li>x</li></ul></li><li>b</li></ol>", "1. a\n   - x\n2. b"),
        ("<ul><li><p>a</p><p>more</p></li><li>b</li></ul>", "- a\n\n  more\n- b"),
        ("<ul><li><div></div><a href='https://a.test/'>a</a></li></ul>", "- [a](https://a.test/)"),
    ],
)
def test_lists(html: str, expected: str) -> None:
    assert markdown(html) == expected


def test_an_item_whose_list_is_left_out_is_no_code() -> None:
    pieces = read_pieces(
        lxml.html.fromstring("<body><ul><li>a<ul><li>b<ul><li>c</li></ul></li></ul></li></ul></body>")
    )
    assert compose(pieces[2:]) == "- c"


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (
            "<table><tr><th>A</th><th>B</th></tr><tr><td>1|2</td><td><p>x</p><p>y</p></td></tr></table>",
            "| A | B |\n| --- | --- |\n| 1\\|2 | x y |",
        ),
        (
            "<table><tr><td rowspan=2>a</td><td>1</td></tr><tr><td>2</td></tr></table>",
            "| a | 1 |\n| --- | --- |\n| a | 2 |",
        ),
        (
            '<table><tr><td colspan=2>t</td></tr><tr><td><a href="https://a.test/">x</a></td><td>2</td></tr></table>',
            "| t |  |\n| --- | --- |\n| [x](https://a.test/) | 2 |",
        ),
        (
            "<table><tr><td><h2>Menu</h2></td><td>text</td></tr><tr><td>a</td><td>b</td></tr></table>",
            "## Menu\n\ntext\n\na\n\nb",
        ),
        (
            '<table role="presentation"><tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr></table>',
            "a\n\nb\n\nc\n\nd",
        ),
        (
            "<table><caption>Sizes</caption><tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr></table>",
            "Sizes\n\n| a | b |\n| --- | --- |\n| c | d |",
        ),
    ],
)
def test_tables(html: str, expected: str) -> None:
    assert markdown(html) == expected


def test_a_span_without_end_stays_small() -> None:
    cells = "<td rowspan=99999999 colspan=9999>x</td>" * 50
    assert len(markdown(f"<table>{f'<tr>{cells}</tr>' * 50}</table>")) < 50_000


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<pre>a\n  b\n</pre>", "```\na\n  b\n```"),
        ('<pre><code class="language-python">x = 1</code></pre>', "```python\nx = 1\n```"),
        ("<pre>a<br>b</pre>", "```\na\nb\n```"),
        ("<pre>```\nx\n```</pre>", "````\n```\nx\n```\n````"),
        (
            '<table><tr><td class="gutter"><pre>1\n2</pre></td><td><pre>a\nb</pre></td></tr></table>',
            "```\na\nb\n```",
        ),
    ],
)
def test_code(html: str, expected: str) -> None:
    assert markdown(html) == expected


def test_plain_text_has_the_words_alone() -> None:
    pieces = read_pieces(
        lxml.html.fromstring('<body><h1>T</h1><p>a <a href="https://a.test/">b</a></p></body>')
    )
    assert plain(pieces) == "T\na b"


def test_posts_shown_without_scripts_are_read_and_a_request_for_scripts_is_not() -> None:
    assert markdown(f"<noscript><p>{'a post ' * 100}</p></noscript>").startswith("a post")
    assert markdown("<noscript>Please enable JavaScript</noscript>") == ""
