"""JSON that was asked for, and blanks that came.

DeepSeek puts spaces in the place of an answer that is no JSON, and advises to ask again:
https://api-docs.deepseek.com/guides/json_mode
"""

from collections.abc import Mapping
from typing import Any


def is_json_asked(body: Mapping[str, Any]) -> bool:
    """Whether the answer must be JSON."""
    wanted = body.get("response_format")
    return isinstance(wanted, Mapping) and wanted.get("type") in ("json_object", "json_schema")


def is_blank_json(body: Mapping[str, Any], completion: Mapping[str, Any]) -> bool:
    """Whether an answer is complete and says nothing where JSON was asked for; reasoning is no answer.

    Args:
        body: The request.
        completion: A whole answer, or what a stream's chunks come to with the one that finishes it.
    """
    choices = completion.get("choices") or ()
    return bool(choices) and is_json_asked(body) and all(_is_blank(choice) for choice in choices)


def _is_blank(choice: Mapping[str, Any]) -> bool:
    message = choice.get("message") or {}
    said = message.get("content") or ""
    return (
        choice.get("finish_reason") in (None, "stop")
        and not message.get("tool_calls")
        and not message.get("refusal")
        and isinstance(said, str)
        and not said.strip()
    )
