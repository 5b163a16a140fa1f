"""What an answer from documents carries beside its text: citations, and whether its sources bear it out."""

from collections.abc import Sequence
from typing import Any

from shared.knowledge.cite import annotation, cite
from shared.knowledge.passage import Passage
from shared.knowledge.support import support_of


def grounding(answer: str, passages: Sequence[Passage]) -> dict[str, Any]:
    """Fields of the message for an answer given from these passages.

    `annotations` as OpenAI has them, with the quoted place under `weir`, and empty when no passage supports
    the answer; and `weir.support`: `supported`, `partly_supported` with the `unsupported` ranges of
    characters, `unsupported`, or `unknown` where the answer says itself that it does not know.
    """
    support = support_of(answer, passages)
    return {
        "annotations": [annotation(found).model_dump(mode="json") for found in cite(answer, passages)],
        "weir": {"support": support.verdict, "unsupported": [list(span) for span in support.unsupported]},
    }
