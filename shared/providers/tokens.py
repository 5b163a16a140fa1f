"""Tokens of one request: as a provider reports them, or as Weir estimates them beforehand."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Han, kana and Hangul: about one token a character with today's tokenisers; other scripts about one in four.
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")

# Far over any context window; what is more is no count of tokens.
_MOST = 10**12


@dataclass(frozen=True)
class TokenUsage:
    """Token counts as in OpenAI's usage object: `cached` is part of `prompt`, `reasoning` of `completion`."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        """Prompt and completion together."""
        return self.prompt + self.completion

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        return TokenUsage(
            prompt=self.prompt + other.prompt,
            cached=self.cached + other.cached,
            completion=self.completion + other.completion,
            reasoning=self.reasoning + other.reasoning,
        )

    @classmethod
    def from_body(cls, usage: object) -> "TokenUsage":
        """Read a provider's usage object.

        Cached tokens stand in `prompt_tokens_details` (OpenAI) or `prompt_cache_hit_tokens` (DeepSeek).
        """
        fields: Mapping[str, Any] = usage if isinstance(usage, Mapping) else {}
        prompt = _count(fields, "prompt_tokens")
        cached = _count(fields.get("prompt_tokens_details"), "cached_tokens")
        return cls(
            prompt=prompt,
            # A part of the prompt, whatever a provider says.
            cached=min(prompt, cached or _count(fields, "prompt_cache_hit_tokens")),
            completion=_count(fields, "completion_tokens"),
            reasoning=_count(fields.get("completion_tokens_details"), "reasoning_tokens"),
        )


def _count(counts: object, name: str) -> int:
    """A count of a provider's, which may leave out or garble what it likes; 0 for what is no count."""
    value = counts.get(name) if isinstance(counts, Mapping) else None
    return value if type(value) is int and 0 <= value <= _MOST else 0


def estimate_tokens(text: str) -> int:
    """Tokens of `text`, within about a third for common tokenisers."""
    if text.isascii():
        return len(text) // 4 + 1
    wide = len(_WIDE.findall(text))
    return wide + (len(text) - wide) // 4 + 1
