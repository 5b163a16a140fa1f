"""What several queries of one search found becomes one list."""

from api.routes.search import best
from shared.knowledge.passage import Passage


def passage(file_id: str, start: int, score: float) -> Passage:
    return Passage(
        vector_store_id="vs_1",
        file_id=file_id,
        filename="a.md",
        source_url=None,
        attributes={},
        score=score,
        text="",
        headings=(),
        page_first=None,
        page_last=None,
        row_first=None,
        row_last=None,
        char_start=start,
        char_end=start + 10,
    )


def test_the_best_come_first_and_each_once_with_its_better_score() -> None:
    found = best(
        [
            [passage("a", 0, 0.9), passage("a", 10, 0.2)],
            [passage("b", 0, 0.5), passage("a", 10, 0.7), passage("a", 0, 0.1)],
        ],
        10,
    )
    assert [(p.file_id, p.char_start, p.score) for p in found] == [
        ("a", 0, 0.9),
        ("a", 10, 0.7),
        ("b", 0, 0.5),
    ]


def test_no_more_than_asked_for_are_kept() -> None:
    found = best([[passage("a", i * 10, i / 10) for i in range(10)]], 3)
    assert [p.score for p in found] == [0.9, 0.8, 0.7]
