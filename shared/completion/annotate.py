"""Citations of an answer, as OpenAI's `annotations` with the quoted place under `weir`."""

from collections.abc import Sequence
from typing import Any

from shared.knowledge.cite import annotation, cite
from shared.knowledge.passage import Passage


def annotations(answer: str, passages: Sequence[Passage]) -> list[dict[str, Any]]:
    """The `annotations` array for an answer given from these passages; empty when none supports it."""
    return [annotation(found).model_dump(mode="json") for found in cite(answer, passages)]
