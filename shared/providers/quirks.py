"""How providers differ from OpenAI's protocol: one pure function for each quirk of a catalog row.

Each takes a chat body and the tenant it is sent for, and gives the body as this provider wants it; neither
the body nor its messages are changed in place. docs/deepseek.md says why each is there, with its sources.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from shared.providers.catalog import Quirk

Body = Mapping[str, Any]
Change = Callable[[Body, str], Body]

# The field of a message that carries reasoning from Weir's vault. It never leaves Weir under this name: so a
# provider that asks for reasoning is given it, and others are sent what the caller sent.
RECALLED = "weir_reasoning"

_THINKING_OFF = {"type": "disabled"}

# Fields of DeepSeek's that OpenAI answers 400 to.
_FOREIGN_FIELDS = ("thinking", "user_id")
_FOREIGN_MESSAGE_FIELDS = ("reasoning_content", "prefix")

# Who the caller says its user is, by the most exact name first.
_USER_FIELDS = ("user_id", "safety_identifier", "user")


def put_reasoning_back(body: Body, tenant_id: str) -> Body:
    """Every assistant turn has `reasoning_content`: the caller's, else the vault's, else an empty one."""
    return {**body, "messages": [_with_reasoning(message) for message in body["messages"]]}


def switch_thinking_off(body: Body, tenant_id: str) -> Body:
    """OpenAI's `reasoning_effort: "none"` in the words of a provider that has a switch of its own."""
    if body.get("reasoning_effort") != "none":
        return body
    rest = _without(body, "reasoning_effort")
    return rest if rest.get("thinking") else {**rest, "thinking": _THINKING_OFF}


def keep_tool_choice(body: Body, tenant_id: str) -> Body:
    """A tool call that is forced is not thought about: thinking goes, for the shape of an answer is promised.

    `auto` is left out while thinking, since it is what holds anyway.
    """
    choice = body.get("tool_choice")
    if choice in (None, "none") or _is_thinking_off(body):
        return body
    if choice == "auto":
        return _without(body, "tool_choice")
    return {**_without(body, "reasoning_effort"), "thinking": _THINKING_OFF}


def limit_by_max_tokens(body: Body, tenant_id: str) -> Body:
    """OpenAI's new name of the limit under its old one, for who ignores the new one."""
    return _renamed(body, "max_completion_tokens", "max_tokens")


def limit_by_max_completion_tokens(body: Body, tenant_id: str) -> Body:
    """The limit under its new name, for who refuses the old one."""
    if body.get("max_completion_tokens") is not None:
        return _without(body, "max_tokens")
    return _renamed(body, "max_tokens", "max_completion_tokens")


def call_developers_system(body: Body, tenant_id: str) -> Body:
    """Messages of the role `developer` become `system`."""
    messages = body["messages"]
    if all(message.get("role") != "developer" for message in messages):
        return body
    return {
        **body,
        "messages": [{**m, "role": "system"} if m.get("role") == "developer" else m for m in messages],
    }


def keep_tenants_apart(body: Body, tenant_id: str) -> Body:
    """A `user_id` made of the tenant and of whom the caller names, which no caller can forge.

    The names themselves are left out: they may be an address or a person's, and a digest does as well.
    """
    user = next((body[name] for name in _USER_FIELDS if body.get(name)), None)
    digest = hashlib.sha256(orjson.dumps([tenant_id, user])).hexdigest()
    return {**_without(body, *_USER_FIELDS), "user_id": digest}


def drop_foreign_fields(body: Body, tenant_id: str) -> Body:
    """Nothing that only other providers know, so that a request for one of them may fall back to this one."""
    if _is_thinking_off(body) and not body.get("reasoning_effort"):
        body = {**body, "reasoning_effort": "none"}
    body = _without(body, *_FOREIGN_FIELDS)
    messages = body["messages"]
    if not any(name in message for message in messages for name in _FOREIGN_MESSAGE_FIELDS):
        return body
    return {**body, "messages": [_without(message, *_FOREIGN_MESSAGE_FIELDS) for message in messages]}


def drop_recalled(body: Body) -> Body:
    """The body without the vault's reasoning."""
    messages = body["messages"]
    if not any(RECALLED in message for message in messages):
        return body
    return {**body, "messages": [_without(message, RECALLED) for message in messages]}


# In the order in which they are applied.
CHANGES: Mapping[Quirk, Change] = {
    "thinking_switch": switch_thinking_off,
    "no_forced_tools_while_thinking": keep_tool_choice,
    "reasoning_content_required": put_reasoning_back,
    "max_tokens_only": limit_by_max_tokens,
    "max_completion_tokens_only": limit_by_max_completion_tokens,
    "no_developer_role": call_developers_system,
    "cache_by_user_id": keep_tenants_apart,
    "no_foreign_fields": drop_foreign_fields,
}


def _with_reasoning(message: Mapping[str, Any]) -> Mapping[str, Any]:
    if message.get("role") != "assistant":
        return message
    # An empty one that a client made up for one it has lost counts as none.
    reasoning = message.get("reasoning_content") or message.get(RECALLED) or ""
    return {**message, "reasoning_content": reasoning}


def _is_thinking_off(body: Body) -> bool:
    thinking = body.get("thinking")
    return isinstance(thinking, Mapping) and thinking.get("type") == "disabled"


def _renamed(body: Body, name: str, new: str) -> Body:
    if name not in body:
        return body
    rest = _without(body, name)
    return rest if body[name] is None else {**rest, new: body[name]}


def _without(fields: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}
