"""Which pieces of a page are kept."""

import lxml.html
import numpy as np
import pytest

from shared.web.extraction.choose import best_expected, chances
from shared.web.extraction.content import main_content
from shared.web.extraction.declared import is_article
from shared.web.extraction.features import first_columns
from shared.web.extraction.overlap import shares_within
from shared.web.extraction.pieces import read_pieces
from shared.web.extraction.reading import Reading
from shared.web.extraction.smoothing import second_columns
from shared.web.extraction.weights import FIRST, SECOND

SENTENCES = [
    "The river rises in the hills above the town, where rain falls on most days and fills the springs.",
    "It runs past three mills that have ground corn for the whole valley since the time of the great fire.",
    "Below the last of them it widens, slows down, and meets the sea between two beaches of grey stones.",
    "In summer people come from far away to swim, to fish, and to walk on its northern bank.",
]
ARTICLE = "".join(f"<p>{sentence}</p>" for sentence in SENTENCES)
MENU = (
    "<nav><ul>"
    + "".join(f'<li><a href="/{name}">{name}</a></li>' for name in ("Home", "Shop", "Blog"))
    + "</ul></nav>"
)


def tree(body: str, head: str = "") -> lxml.html.HtmlElement:
    return lxml.html.document_fromstring(f"<html><head>{head}</head><body>{body}</body></html>")


def test_the_text_is_kept_and_what_is_around_it_is_not() -> None:
    footer = "<footer><p>Copyright 2026</p><p><a href='/imprint'>Imprint</a></p></footer>"
    content = main_content(tree(f"<header>{MENU}</header><main><h1>The river</h1>{ARTICLE}</main>{footer}"))
    assert content.text == "\n".join(SENTENCES)
    assert content.markdown == "# The river\n\n" + "\n\n".join(SENTENCES)


def test_of_copies_one_is_kept() -> None:
    body = (
        f'<main><h1>The river</h1><div class="wide">{ARTICLE}</div><div class="narrow">{ARTICLE}</div></main>'
    )
    text = main_content(tree(body)).text
    assert text.count(SENTENCES[0]) == 1
    assert text.count(SENTENCES[3]) == 1


def test_goods_of_a_shop_are_kept_though_trafilatura_leaves_them_out() -> None:
    goods = "".join(
        f'<li class="card"><h3><a href="/p{n}">Lamp number {n}</a></h3>'
        f"<p>A lamp of brass for reading, {n} W.</p><p>{n + 9} €</p></li>"
        for n in range(12)
    )
    body = f"{MENU}<main><h1>Lamps</h1><p>All our lamps are made by hand.</p><ul>{goods}</ul></main>"
    text = main_content(tree(body)).text
    assert text.count("A lamp of brass") == 12
    assert "Blog" not in text


def test_a_page_without_text_has_no_content() -> None:
    assert main_content(tree("<div></div>")).markdown == ""


def test_what_is_known_has_a_weight_each() -> None:
    pieces = read_pieces(tree(MENU + ARTICLE))
    page = Reading(pieces, shares_within(pieces, SENTENCES[0]), ())
    columns = list(first_columns(page))
    assert {name for name, _ in columns} | {"constant"} == set(FIRST)
    more = list(second_columns(page, chances(columns, FIRST)))
    assert {name for name, _ in (*columns, *more)} | {"constant"} == set(SECOND)
    assert all(np.isfinite(values).all() and len(values) == len(pieces) for _, values in (*columns, *more))


@pytest.mark.parametrize(
    ("likely", "words", "kept"),
    [
        ([0.9, 0.8, 0.1], [10, 10, 10], [True, True, False]),
        (
            [0.9, 0.1],
            [1, 100],
            [True, True],
        ),  # the few sure words are little beside those of the doubtful text
        ([0.2], [5], [True]),
        ([], [], []),
    ],
)
def test_what_has_the_best_f1_to_be_expected_is_kept(
    likely: list[float], words: list[float], kept: list[bool]
) -> None:
    assert list(best_expected(np.array(likely), np.array(words, dtype=float))) == kept


def test_shares_are_of_runs_of_three_words_or_of_whole_lines() -> None:
    pieces = read_pieces(tree("<p>one two three four five</p><p>Menu</p><p>six seven</p>"))
    assert shares_within(pieces, "zero one two three four\nsix seven\nthe menu") == [2 / 3, 0.0, 1.0]


@pytest.mark.parametrize(
    ("head", "article"),
    [
        ('<meta property="og:type" content="article">', True),
        ('<meta property="og:type" content="website">', False),
        ('<script type="application/ld+json">{"@type": ["NewsArticle"]}</script>', True),
        ('<script type="application/ld+json">{"@graph": [{"@type":"Product"}]}</script>', False),
        ("", False),
    ],
)
def test_what_a_page_says_that_it_is(head: str, article: bool) -> None:
    assert is_article(tree(ARTICLE, head)) is article


def test_microdata_says_it_too() -> None:
    assert is_article(tree(f'<div itemscope itemtype="https://schema.org/BlogPosting">{ARTICLE}</div>'))


def test_many_cells_that_span_others_take_no_long_time() -> None:
    cells = "<td rowspan=20 colspan=20>x</td>" * 100
    main_content(tree(f"<table>{f'<tr>{cells}</tr>' * 40}</table>"))
