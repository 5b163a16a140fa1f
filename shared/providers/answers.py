"""Whole answers, checked before anyone relies on them: a status of 200 alone says little."""

from typing import Any

import orjson

from shared.providers.chat_chunk import ran_short
from shared.providers.failures import UpstreamFailure


def read_answer(path: str, content: bytes, provider: str, *, json_asked: bool = False) -> dict[str, Any]:
    """The decoded answer to a call of `path`.

    Args:
        path: `/chat/completions` or `/embeddings`.
        content: The body of an answer of status 200.
        provider: Who gave it.
        json_asked: Whether the request asked for JSON, for which blanks are no answer.

    Raises:
        UpstreamFailure: `broken`, it is no answer to this; `overloaded`, the provider ran out of resources.
    """
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise UpstreamFailure("broken", provider, "the answer is not JSON") from error
    if path == "/embeddings":
        if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
            raise UpstreamFailure("broken", provider, "the answer holds no embeddings")
    elif not _is_completion(answer):
        raise UpstreamFailure("broken", provider, "the answer is no chat completion")
    elif ran_short(answer):
        raise UpstreamFailure("overloaded", provider, "the provider ran out of resources")
    elif json_asked and _is_blank(answer):
        raise UpstreamFailure("broken", provider, "the answer is blank where JSON was asked for")
    decoded: dict[str, Any] = answer
    return decoded


def _is_completion(answer: object) -> bool:
    choices = answer.get("choices") if isinstance(answer, dict) else None
    return (
        isinstance(choices, list)
        and bool(choices)
        and all(isinstance(choice, dict) and isinstance(choice.get("message"), dict) for choice in choices)
    )


def _is_blank(answer: dict[str, Any]) -> bool:
    choice = answer["choices"][0]
    message = choice["message"]
    said = message.get("content") or ""
    return (
        choice.get("finish_reason") in (None, "stop")
        and not message.get("tool_calls")
        and not message.get("refusal")
        and isinstance(said, str)
        and not said.strip()
    )
