"""What a stream has said so far: as much of it as settlement and citations need."""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.providers.tokens import TokenUsage, estimate_tokens


class Transcript:
    """Reads chunks of one chat stream."""

    def __init__(self) -> None:
        self.usage: TokenUsage | None = None
        self.finished = False
        self._content: list[str] = []
        self._rest: list[str] = []

    @property
    def text(self) -> str:
        """The answer's text so far (first choice)."""
        return "".join(self._content)

    def read(self, chunk: Mapping[str, Any]) -> None:
        """Take note of one decoded chunk."""
        if (reported := chunk.get("usage")) and (usage := TokenUsage.from_body(reported)).total:
            self.usage = usage
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            if isinstance(content := delta.get("content"), str):
                (self._content if choice.get("index", 0) == 0 else self._rest).append(content)
            self._rest.extend(_unseen_text(delta))
            if choice.get("finish_reason"):
                self.finished = True

    def estimated_completion(self) -> int:
        """Tokens of all that was said, for when the provider reports none."""
        said = self.text + "".join(self._rest)
        return estimate_tokens(said) if said else 0


def _unseen_text(delta: Mapping[str, Any]) -> Iterator[str]:
    """Text that is billed as completion beside the content: reasoning, and arguments of tools."""
    if isinstance(reasoning := delta.get("reasoning_content"), str):
        yield reasoning
    for call in delta.get("tool_calls") or ():
        if isinstance(arguments := (call.get("function") or {}).get("arguments"), str):
            yield arguments
