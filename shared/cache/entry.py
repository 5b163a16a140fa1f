"""One answer in the cache: whole, so that it serves buffered and streamed requests alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

# A model that ended by itself. `length`, `content_filter` and DeepSeek's `insufficient_system_resource`
# cut an answer short; another call may give the whole.
_COMPLETE = ("stop", "tool_calls", "function_call")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A stored answer.

    `completion` is the JSON of a whole `chat.completion` with usage, reasoning and tool calls; `provider` and
    `model` say who really answered.
    """

    completion: bytes
    provider: str
    model: str
    stored_at: datetime

    def encode(self) -> bytes:
        """A line that says what it is, then the completion as it is."""
        head = {"provider": self.provider, "model": self.model, "stored_at": self.stored_at}
        return orjson.dumps(head) + b"\n" + self.completion

    @classmethod
    def decode(cls, data: bytes) -> "Entry":
        """What `encode` wrote.

        Raises:
            ValueError: It did not write this.
        """
        line, newline, completion = data.partition(b"\n")
        try:
            head = orjson.loads(line)
            stored_at = datetime.fromisoformat(head["stored_at"])
            provider, model = str(head["provider"]), str(head["model"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("not a cache entry") from error
        if not newline:
            raise ValueError("a cache entry without a completion")
        return cls(completion=completion, provider=provider, model=model, stored_at=stored_at)


def storable(completion: Mapping[str, Any]) -> bool:
    """Whether a whole completion may be served again: every choice ended by itself, and usage is known."""
    choices = completion.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(completion.get("usage"), Mapping):
        return False
    return all(isinstance(c, Mapping) and c.get("finish_reason") in _COMPLETE for c in choices)
