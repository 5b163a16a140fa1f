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
        self._choices: dict[int, _Choice] = {}

    def read(self, chunk: Mapping[str, Any]) -> None:
        """Take one decoded chunk."""
        for name in _TOP:
            if chunk.get(name) is not None:
                self._top.setdefault(name, chunk[name])
        # A provider may repeat a growing usage in each chunk: the last one counts, never their sum.
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices") or ():
            index = choice.get("index", 0)
            self._choices.setdefault(index, _Choice(index)).read(choice)

    def whole(self) -> dict[str, Any]:
        """The completion so far."""
        completion = {"object": "chat.completion", **self._top}
        completion["choices"] = [self._choices[index].whole() for index in sorted(self._choices)]
        if self._usage:
            completion["usage"] = dict(self._usage)
        return completion


class _Choice:
    """One choice. Texts are kept in pieces, and joined once: an answer may have 400,000 of them."""

    def __init__(self, index: int) -> None:
        self._index = index
        self._texts: dict[str, list[str]] = {}
        self._others: dict[str, Any] = {}
        self._calls: list[_ToolCall] = []
        self._finish_reason: str | None = None
        self._logprobs: dict[str, Any] = {}

    def read(self, choice: Mapping[str, Any]) -> None:
        for name, value in (choice.get("delta") or {}).items():
            if name == "tool_calls":
                for call in value or ():
                    self._read_call(call)
            elif isinstance(value, str) and name != "role":
                self._texts.setdefault(name, []).append(value)
            elif value is not None:
                self._others[name] = value
        self._finish_reason = choice.get("finish_reason") or self._finish_reason
        if choice.get("logprobs"):
            _merge_lists(self._logprobs, choice["logprobs"])

    def _read_call(self, delta: Mapping[str, Any]) -> None:
        index = delta.get("index", 0)
        while len(self._calls) <= index:
            self._calls.append(_ToolCall())
        self._calls[index].read(delta)

    def whole(self) -> dict[str, Any]:
        message = {"role": "assistant", "content": None, **self._others}
        message |= {name: "".join(pieces) for name, pieces in self._texts.items()}
        if self._calls:
            message["tool_calls"] = [call.whole() for call in self._calls]
        choice = {"index": self._index, "message": message, "finish_reason": self._finish_reason}
        return choice | ({"logprobs": self._logprobs} if self._logprobs else {})


class _ToolCall:
    def __init__(self) -> None:
        self._id: str | None = None
        self._type = "function"
        self._name = ""
        self._arguments: list[str] = []

    def read(self, delta: Mapping[str, Any]) -> None:
        function = delta.get("function") or {}
        self._id = delta.get("id") or self._id
        self._type = delta.get("type") or self._type
        self._name = function.get("name") or self._name
        self._arguments.append(function.get("arguments") or "")

    def whole(self) -> dict[str, Any]:
        function = {"name": self._name, "arguments": "".join(self._arguments)}
        return {"id": self._id, "type": self._type, "function": function}


def _merge_lists(held: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, list) and isinstance(held.get(name), list):
            held[name] += value
        else:
            held[name] = [*value] if isinstance(value, list) else value


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
