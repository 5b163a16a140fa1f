"""The sums over pieces that columns are made of."""

import lxml.html
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.web.extraction.containers import Containers
from shared.web.extraction.piece import Piece
from shared.web.extraction.pieces import read_pieces
from shared.web.extraction.place import KINDS, Place
from shared.web.extraction.reading import Likes, Shifted, windows
from shared.web.extraction.words import words_of

HTML = """<body>before<nav class="menu"><ul><li>Home</li><li>Shop<p>All of it</p></li></ul></nav>
<main><h1>The river</h1>It rises<div id="ad-1"><p>Buy</p></div>and falls.</main>after</body>"""


def read() -> list[Piece]:
    return read_pieces(lxml.html.document_fromstring(f"<html>{HTML}</html>"))


def around(piece: Piece) -> list[Place]:
    places: list[Place] = []
    place: Place | None = piece.place
    while place is not None:
        places.append(place)
        place = place.parent
    return places


def test_a_container_sums_up_all_pieces_inside() -> None:
    pieces = read()
    values = np.array([[len(piece.words) for piece in pieces], [1.0] * len(pieces)])
    containers = Containers(pieces)
    near = containers.spread(containers.sums(values), steps=3)
    for number, piece in enumerate(pieces):
        for step, place in enumerate(around(piece)[:3]):
            inside = [place in around(other) for other in pieces]
            assert list(near[:, step, number]) == list(values[:, inside].sum(axis=1))


def test_around_the_outermost_there_is_nothing() -> None:
    containers = Containers(read())
    ones = np.ones(len(set().union(*map(around, read()))))
    assert list(containers.spread(ones, steps=9)[-1]) == [0.0] * len(read())


@pytest.mark.parametrize(
    ("text", "kinds"),
    [("Home", {"navigation"}), ("The river", {"main"}), ("Buy", {"main", "advert"}), ("after", set())],
)
def test_what_is_around_a_piece_is_known_by_its_names(text: str, kinds: set[str]) -> None:
    pieces = read()
    flags = Containers(pieces).flags(np.array([len(piece.words) for piece in pieces], dtype=np.float64))
    number = [piece.text for piece in pieces].index(text)
    assert {kind for kind, row in zip(KINDS, flags, strict=True) if row[number]} == kinds


def test_likes_are_summed_up_without_the_piece_itself() -> None:
    values = np.array([[1.0, 2.0, 4.0, 8.0], [1.0, 1.0, 1.0, 1.0]])
    assert Likes(["a", "b", "a", "a"]).others(values).tolist() == [[12, 0, 9, 5], [2, 0, 2, 2]]


def test_beyond_the_ends_there_is_nothing() -> None:
    near = Shifted(np.array([1.0, 2.0, 3.0]), 5)
    assert list(near.before(1)) == [0, 1, 2]
    assert list(near.after(2)) == [3, 0, 0]
    assert list(near.after(5)) == list(near.before(5)) == [0, 0, 0]


def test_windows_end_where_the_page_does() -> None:
    low, high = windows(4, (1, 9))
    assert low.tolist() == [[0, 0, 1, 2], [0, 0, 0, 0]]
    assert high.tolist() == [[2, 3, 4, 4], [4, 4, 4, 4]]


@given(st.text(alphabet="aZ09_-. \n'\t$", max_size=30))
def test_words_of_ascii_are_those_of_other_texts(text: str) -> None:
    assert [*words_of(text), "é"] == words_of(f"{text} é")
