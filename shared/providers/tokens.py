"""Tokens of one request: as a provider reports them, or as Weir estimates them beforehand."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Han, kana and Hangul: about one token a character with today's tokenisers; other scripts about one in four.
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")


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

    @classmethod
    def from_body(cls, usage: Mapping[str, Any]) -> "TokenUsage":
        """Read a provider's usage object.

        Cached tokens stand in `prompt_tokens_details` (OpenAI) or `prompt_cache_hit_tokens` (DeepSeek).
        """
        prompt_details = usage.get("prompt_tokens_details") or {}
        completion_details = usage.get("completion_tokens_details") or {}
        cached = prompt_details.get("cached_tokens") or usage.get("prompt_cache_hit_tokens") or 0
        return cls(
            prompt=usage.get("prompt_tokens") or 0,
            cached=cached,
            completion=usage.get("completion_tokens") or 0,
            reasoning=completion_details.get("reasoning_tokens") or 0,
        )


def estimate_tokens(text: str) -> int:
    """Tokens of `text`, within about a third for common tokenisers."""
    if text.isascii():
        return len(text) // 4 + 1
    wide = len(_WIDE.findall(text))
    return wide + (len(text) - wide) // 4 + 1
