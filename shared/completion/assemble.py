"""One answer in both its forms: the chunks of a stream, and the whole completion.

An answer that was streamed is cached whole, and a whole answer is given to who asked for a stream, each with
its reasoning, tool calls and usage.
"""

from collections.abc import Iterator, Mapping
from typing import Any

_TOP = ("id", "created", "model", "system_fingerprint", "service_tier")

# Parts of a message in the order in which a model says them.
_SPOKEN = ("reasoning_content", "content", "refusal", "tool_calls")


class Assembler:
    """Makes a whole `chat.completion` of chunks; what it does not know it keeps as it came last."""

    def __init__(self) -> None:
        self._top: dict[str, Any] = {}
        self._usage: Mapping[str, Any] | None = None
        self._choices: dict[int, dict[str, Any]] = {}

    def read(self, chunk: Mapping[str, Any]) -> None:
        """Take one decoded chunk."""
        for name in _TOP:
            if chunk.get(name) is not None:
                self._top.setdefault(name, chunk[name])
        # A provider may repeat a growing usage in each chunk: the last one counts, never their sum.
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices") or ():
            self._read_choice(choice)

    def whole(self) -> dict[str, Any]:
        """The completion so far."""
        completion = {"object": "chat.completion", **self._top}
        completion["choices"] = [self._choices[index] for index in sorted(self._choices)]
        if self._usage:
            completion["usage"] = dict(self._usage)
        return completion

    def _read_choice(self, choice: Mapping[str, Any]) -> None:
        index = choice.get("index", 0)
        held = self._choices.setdefault(
            index, {"index": index, "message": {"role": "assistant", "content": None}, "finish_reason": None}
        )
        _merge_message(held["message"], choice.get("delta") or {})
        if choice.get("finish_reason"):
            held["finish_reason"] = choice["finish_reason"]
        if choice.get("logprobs"):
            _merge_lists(held.setdefault("logprobs", {}), choice["logprobs"])


def _merge_message(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    for name, value in delta.items():
        if value is None:
            continue
        if name == "tool_calls":
            for call in value:
                _merge_tool_call(message.setdefault(name, []), call)
        elif name != "role" and isinstance(value, str) and isinstance(message.get(name), str):
            message[name] += value
        else:
            message[name] = value


def _merge_tool_call(calls: list[dict[str, Any]], delta: Mapping[str, Any]) -> None:
    index = delta.get("index", 0)
    while len(calls) <= index:
        calls.append({"id": None, "type": "function", "function": {"name": "", "arguments": ""}})
    call = calls[index]
    call["id"] = delta.get("id") or call["id"]
    call["type"] = delta.get("type") or call["type"]
    function = delta.get("function") or {}
    call["function"]["name"] = function.get("name") or call["function"]["name"]
    call["function"]["arguments"] += function.get("arguments") or ""


def _merge_lists(held: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        held[name] = [*(held.get(name) or ()), *value] if isinstance(value, list) else value


def as_chunks(completion: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A whole completion as the chunks of a stream; the last holds the usage and no choice."""
    top = {"object": "chat.completion.chunk", **{n: completion[n] for n in _TOP if n in completion}}
    for choice in completion.get("choices") or ():
        for delta in _deltas(choice.get("message") or {}):
            said = {"index": choice.get("index", 0), "delta": delta, "finish_reason": None}
            yield {**top, "choices": [said]}
        end = {"index": choice.get("index", 0), "delta": {}, "finish_reason": choice.get("finish_reason")}
        if choice.get("logprobs"):
            end["logprobs"] = choice["logprobs"]
        yield {**top, "choices": [end]}
    if completion.get("usage"):
        yield {**top, "choices": [], "usage": completion["usage"]}


def _deltas(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    rest = {name: value for name, value in message.items() if name not in (*_SPOKEN, "role")}
    yield {"role": message.get("role", "assistant"), **rest}
    for name in _SPOKEN:
        if (value := message.get(name)) is not None:
            if name == "tool_calls":
                value = [{"index": index, **call} for index, call in enumerate(value)]
            yield {name: value}
