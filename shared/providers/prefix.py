"""An answer that broke off, taken up where it was: DeepSeek's chat prefix completion (beta).

The request is sent again with what was said as the last, unfinished assistant message.
https://api-docs.deepseek.com/guides/chat_prefix_completion
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.providers.tokens import estimate_tokens

_LIMITS = ("max_tokens", "max_completion_tokens")


@dataclass(frozen=True, kw_only=True)
class Said:
    """How far an answer came: what its only choice said, whether it began to call tools, and its end."""

    content: str
    reasoning: str = ""
    tools_begun: bool = False
    finished: bool = False

    @classmethod
    def in_completion(cls, completion: Mapping[str, Any]) -> "Said":
        """What a completion holds that was put together from the chunks so far."""
        choices = completion.get("choices")
        choice: Mapping[str, Any] = choices[0] if choices else {}
        message = choice.get("message") or {}
        return cls(
            content=_text(message.get("content")),
            reasoning=_text(message.get("reasoning_content")),
            tools_begun=bool(message.get("tool_calls")),
            finished=bool(choice.get("finish_reason")),
        )


def continuation_body(body: Mapping[str, Any], said: Said) -> dict[str, Any] | None:
    """The body for `Router.resume`, whose answer says the rest and nothing again.

    `None` where the rest cannot be had: the answer is at its end or not begun, calls a tool or must, is one
    of several, or comes with its tokens' probabilities.

    Args:
        body: The request that was sent, as the caller means it, before `encode_body`.
        said: What the client has.
    """
    if said.finished or said.tools_begun or not (said.content or said.reasoning) or not _continuable(body):
        return None
    # In JSON mode DeepSeek blanks what is no JSON, and the rest of an object is none.
    rest = {name: value for name, value in body.items() if name != "response_format"}
    spent = estimate_tokens(said.reasoning + said.content)
    rest |= {n: max(1, rest[n] - spent) for n in _LIMITS if isinstance(rest.get(n), int)}
    return {**rest, "messages": [*body["messages"], _begun(said)]}


def _continuable(body: Mapping[str, Any]) -> bool:
    several = (body.get("n") or 1) > 1
    counted = bool(body.get("logprobs") or body.get("top_logprobs"))
    forced = body.get("tool_choice") not in (None, "auto", "none")
    begun_by_caller = bool(body["messages"][-1].get("prefix"))
    return not (several or counted or forced or begun_by_caller)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _begun(said: Said) -> dict[str, Any]:
    message = {"role": "assistant", "content": said.content, "prefix": True}
    return {**message, "reasoning_content": said.reasoning} if said.reasoning else message
