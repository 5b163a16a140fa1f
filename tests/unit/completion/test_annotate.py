"""An answer from documents says whether they bear it out."""

from shared.completion.annotate import grounding
from tests.unit.knowledge.passages import passage

FERRY = passage("The ferry Marmalade leaves Greifswald at nine o'clock every morning.")


def test_what_a_source_says_is_cited_and_supported() -> None:
    found = grounding("The ferry Marmalade leaves Greifswald at nine o'clock [1].", [FERRY])
    assert found["weir"] == {"support": "supported", "unsupported": []}
    assert [note["type"] for note in found["annotations"]] == ["file_citation"]


def test_what_no_source_says_is_marked_and_not_cited() -> None:
    answer = "Penguins hibernate underneath volcanic mountains [1]."
    found = grounding(answer, [FERRY])
    assert found["weir"]["support"] == "unsupported"
    assert found["annotations"] == []


def test_an_answer_may_say_that_it_does_not_know() -> None:
    assert grounding("I do not know.", [FERRY])["weir"]["support"] == "unknown"
