"""An answer that ends in blanks where JSON was asked for, after its reasoning was shown.

Before a word is shown the router asks again, unseen (`shared.routing.opening`). Here the end is held back as
long as it says nothing, so that it can be asked for again. Whose habit it is: `shared.providers.json_mode`.
"""

from collections.abc import Mapping
from typing import Any

from shared.providers.chat_events import ChatEvent
from shared.providers.failures import UpstreamFailure


class BlankAnswer(UpstreamFailure):
    """The answer has ended, and says nothing but how the model came to it."""

    def __init__(self, provider: str) -> None:
        super().__init__("broken", provider, "the answer is blank where JSON was asked for")


class BlankEnd:
    """Lets an answer's reasoning pass, and holds what follows until it says something.

    What is `held` when the stream is over is a blank end.
    """

    def __init__(self) -> None:
        self.held: list[ChatEvent] = []
        self._speaks = False

    def passing(self, batch: tuple[ChatEvent, ...]) -> tuple[ChatEvent, ...]:
        """What may be shown now: of this batch, and of what was held before it."""
        passing: list[ChatEvent] = []
        for event in batch:
            chunk = event.chunk or {}
            self._speaks = self._speaks or _speaks(chunk)
            if self._speaks:
                passing += (*self.held, event)
                self.held = []
            elif self.held or (chunk and _says_nothing(chunk)):
                self.held.append(event)
            else:
                passing.append(event)
        return tuple(passing)


def _speaks(chunk: Mapping[str, Any]) -> bool:
    """Whether it holds part of an answer, reasoning apart, or cuts one off."""
    for choice in chunk.get("choices") or ():
        if choice.get("finish_reason") not in (None, "stop"):
            return True
        for name, value in (choice.get("delta") or {}).items():
            blank = isinstance(value, str) and not value.strip()
            if value and not blank and name not in ("role", "reasoning_content"):
                return True
    return False


def _says_nothing(chunk: Mapping[str, Any]) -> bool:
    """Whether it is blank, or the end."""
    choices = chunk.get("choices") or ()
    return not any((c.get("delta") or {}).get("reasoning_content") for c in choices) and (
        not choices or any(c.get("finish_reason") or (c.get("delta") or {}).get("content") for c in choices)
    )
