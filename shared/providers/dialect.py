"""What a provider wants said differently: its quirks, applied to the body just before it is sent."""

from collections.abc import Mapping
from typing import Any

import orjson

from shared.providers.catalog import Deployment


def encode_body(body: Mapping[str, Any], deployment: Deployment) -> bytes:
    """The JSON to send: the caller's body under the provider's name for the model, with its quirks."""
    sent = {**body, "model": deployment.upstream_name}
    if "reasoning_content_required" in deployment.provider.quirks:
        sent["messages"] = [_with_reasoning(message) for message in sent["messages"]]
    return orjson.dumps(sent)


def _with_reasoning(message: Mapping[str, Any]) -> Mapping[str, Any]:
    # DeepSeek answers 400 to a tool-call turn without the key; an empty one is accepted.
    if message.get("role") == "assistant" and "reasoning_content" not in message:
        return {**message, "reasoning_content": ""}
    return message
