"""Whole answers, checked before anyone relies on them: a status of 200 alone says little."""

from collections.abc import Mapping
from typing import Any

import orjson

from shared.providers.chat_chunk import ran_short
from shared.providers.failures import UpstreamFailure
from shared.providers.json_mode import is_blank_json

# Where the answer is, for calls that are no completions.
_LISTS = {"/embeddings": ("data", "embeddings"), "/rerank": ("results", "ratings")}


def read_answer(path: str, content: bytes, provider: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The decoded answer to a call of `path`.

    Args:
        path: `/chat/completions`, `/embeddings` or `/rerank`.
        content: The body of an answer of status 200.
        provider: Who gave it.
        body: The request.

    Raises:
        UpstreamFailure: `broken`, it is no answer to this; `overloaded`, the provider ran out of resources.
    """
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise UpstreamFailure("broken", provider, "the answer is not JSON") from error
    if path in _LISTS:
        name, what = _LISTS[path]
        if not isinstance(answer, dict) or not isinstance(answer.get(name), list):
            raise UpstreamFailure("broken", provider, f"the answer holds no {what}")
    elif not _is_completion(answer):
        raise UpstreamFailure("broken", provider, "the answer is no chat completion")
    elif ran_short(answer):
        raise UpstreamFailure("overloaded", provider, "the provider ran out of resources")
    elif is_blank_json(body, answer):
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
