"""What one decoded chunk of a chat stream says, as far as routing must know."""

from collections.abc import Mapping
from typing import Any

# DeepSeek ends an answer so when it runs out of machines: https://api-docs.deepseek.com/api/create-chat-completion
OUT_OF_RESOURCES = "insufficient_system_resource"


def is_chat_chunk(chunk: Mapping[str, Any]) -> bool:
    """Whether it has the shape that all who read it rely on."""
    choices = chunk.get("choices") or []
    return isinstance(choices, list) and all(
        isinstance(choice, dict) and isinstance(choice.get("delta") or {}, dict) for choice in choices
    )


def says_something(chunk: Mapping[str, Any], *, beyond_blanks: bool = False) -> bool:
    """Whether it holds part of an answer: text, reasoning, a tool call, a refusal, whatever but the role.

    Args:
        chunk: A chat chunk.
        beyond_blanks: Whether blanks are nothing.
    """
    for choice in chunk.get("choices") or ():
        for name, value in (choice.get("delta") or {}).items():
            blank = beyond_blanks and isinstance(value, str) and value.isspace()
            if value and name != "role" and not blank:
                return True
    return False


def finishes(chunk: Mapping[str, Any]) -> bool:
    """Whether it ends a choice."""
    return any(choice.get("finish_reason") for choice in chunk.get("choices") or ())


def ran_short(answer: Mapping[str, Any]) -> bool:
    """Whether the provider, out of resources, ends an answer here that it has not given (chunk or whole)."""
    return any(choice.get("finish_reason") == OUT_OF_RESOURCES for choice in answer.get("choices") or ())
