"""Whether two answers say the same: how a stored answer is judged once the model has answered anew."""

import re
import unicodedata
from collections.abc import Sequence

import orjson

# How near two answers' vectors are if they say the same, and if they surely do not. A model words the same
# answer anew each time, so what lies between is open.
_NEAR = 0.9
_ALIKE = 0.8
_FAR = 0.5

# Characters up to which an answer is short: its numbers are the answer. In a long one some always differ.
_SHORT = 300

# Characters of an answer that are embedded.
EMBEDDED = 2000

_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")


def answer_text(completion: bytes) -> str | None:
    """The text of a whole `chat.completion` that may answer another question; `None` if it may not.

    Only one choice, ended by itself, of text alone: a tool call is an act, and is never repeated for another
    question.
    """
    choices = orjson.loads(completion).get("choices") or []
    if len(choices) != 1 or choices[0].get("finish_reason") != "stop":
        return None
    message = choices[0].get("message") or {}
    content = message.get("content")
    if message.get("tool_calls") or message.get("function_call") or message.get("refusal"):
        return None
    return content if isinstance(content, str) and content.strip() else None


def plainly_agree(a: str, b: str) -> bool | None:
    """Whether two answers agree as far as can be told without their vectors; `None` if that is open."""
    left, right = _normalised(a), _normalised(b)
    if left == right:
        return True
    if _verdict(left) != _verdict(right) or (len(left + right) <= 2 * _SHORT and not same_numbers(a, b)):
        return False
    return None


def agree(a: str, b: str, similarity: float, *, same_words: bool) -> bool | None:
    """Whether two answers that do not plainly agree say the same; `None` if it cannot be told.

    Args:
        similarity: The cosine of the two answers.
        same_words: Whether the two questions say the same, word for word. Then only a clear difference is
            one, for a model seldom gives an answer twice in the same words; else, what is in doubt is one.
    """
    if not same_words:
        return similarity >= _NEAR and same_numbers(a, b)
    if similarity >= _ALIKE:
        return True
    return False if similarity < _FAR else None


def same_numbers(a: str, b: str) -> bool:
    """Whether the same numbers stand in two answers."""
    return set(_NUMBER.findall(_normalised(a))) == set(_NUMBER.findall(_normalised(b)))


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    """The cosine of two vectors; 0 if either is nothing."""
    product = sum(x * y for x, y in zip(a, b, strict=True))
    lengths = (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5
    return product / lengths if lengths else 0.0


def _normalised(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[^\w\s.,:/%-]", " ", folded).replace(". ", " ").rstrip(". \n").split())


def _verdict(normalised: str) -> str:
    first = normalised.split(maxsplit=1)[0].strip(",.:") if normalised else ""
    return first if first in {"yes", "no", "true", "false", "是", "否", "不"} else ""
