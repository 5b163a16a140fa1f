"""A chat request as the semantic cache sees it: what has to be equal, and what is compared by meaning."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.cache.exact_key import exact_key
from shared.cache.semantic_comparison import Likeness, compare
from shared.cache.semantic_confidence import score_of
from shared.cache.semantic_wording import content, says_nothing

Turn = tuple[str, str]

# Characters. A longer question is a document rather than a question; a longer conversation has to be equal.
_LONGEST_ASK = 4000
_LONGEST_CONTEXT = 20_000

# Of the conversation before the question, as many characters of its end are embedded.
_EMBEDDED_CONTEXT = 2000


@dataclass(frozen=True, kw_only=True)
class Question:
    """The last message of the user, what was said before, and a digest of everything else in the request."""

    tenant_id: str
    model: str
    settings: str
    turns: tuple[Turn, ...]

    @property
    def ask(self) -> str:
        """What is asked."""
        return self.turns[-1][1]

    @property
    def context(self) -> tuple[Turn, ...]:
        """What was said before, without turns of courtesy."""
        return tuple(turn for turn in self.turns[:-1] if not says_nothing(turn[1]))

    @property
    def embedded(self) -> tuple[str, ...]:
        """The texts whose vectors stand for the question: the ask, and the end of what was said before."""
        context = "\n".join(text for _, text in self.context)
        return (self.ask, context[-_EMBEDDED_CONTEXT:]) if context else (self.ask,)

    def scope(self, embedding_model: str) -> str:
        """Digest of what has to be equal: settings, embedding model, and whether there is a conversation."""
        return _digest([self.model, self.settings, embedding_model, bool(self.context)])

    def tally(self, embedding_model: str) -> str:
        """Which judged uses tell how far this question's matches may be trusted."""
        return _digest([self.model, embedding_model, bool(self.context)])

    def identity(self, embedding_model: str) -> str:
        """Digest that two requests share only if they say the same, letter case and white space apart."""
        said = [[role, " ".join(text.casefold().split())] for role, text in self.turns]
        return _digest([self.scope(embedding_model), said])


def question_of(body: Mapping[str, Any], *, tenant_id: str, model: str) -> Question | None:
    """The question of a composed request body; `None` if it has none that could be compared by meaning.

    The text of the user's and the assistant's turns is compared by meaning. All else is compared exactly,
    unknown fields included: system prompt, tools and their results, images, names, parameters. A
    conversation that holds more than text, or is very long, is compared exactly as a whole but for its last
    message.
    """
    messages = body.get("messages")
    if body.get("n") not in (None, 1):
        return None
    if (
        not isinstance(messages, Sequence)
        or not messages
        or not all(isinstance(m, Mapping) for m in messages)
    ):
        return None
    head = _leading_instructions(messages)
    *earlier, last = messages[head:] or [{}]
    ask = _plain_text(last)
    if ask is None or last.get("role") != "user" or len(ask) > _LONGEST_ASK or says_nothing(ask):
        return None
    turns = _plain_turns(earlier)
    if not all(map(_storable, (ask, *(text for _, text in turns or ())))):
        return None
    fixed = list(messages[:head]) if turns is not None else list(messages[:-1])
    settings = exact_key({**body, "messages": fixed}, tenant_id=tenant_id, model=model)
    return Question(
        tenant_id=tenant_id, model=model, settings=settings, turns=(*(turns or ()), ("user", ask))
    )


def likeness_of(new: Question, stored: Sequence[Turn]) -> Likeness:
    """How alike a question and a stored one are.

    `same`: every turn says the same, courtesy apart. `added`: the question and the turn before it say the
    same, and all that was said before then was said now, and more. `reworded` and `different`: as in
    `compare`.
    """
    asked = compare(stored[-1][1], new.ask)
    before = [turn for turn in stored[:-1] if not says_nothing(turn[1])]
    if asked == "different" or bool(before) != bool(new.context):
        return "different"
    found = _conversations(before, new.context)
    if "different" in (asked, found):
        return "different"
    return asked if found == "same" else found if asked == "same" else "reworded"


def _conversations(stored: Sequence[Turn], new: Sequence[Turn]) -> Likeness:
    turn_by_turn: set[Likeness] = {"different"}
    if [role for role, _ in stored] == [role for role, _ in new]:
        turn_by_turn = {compare(a[1], b[1], in_order=True) for a, b in zip(stored, new, strict=True)} or {
            "same"
        }
    if turn_by_turn == {"same"}:
        return "same"
    if compare(stored[-1][1], new[-1][1], in_order=True) == "same" and _said(stored) <= _said(new):
        return "added"
    return "different" if "different" in turn_by_turn else "reworded"


def _said(turns: Sequence[Turn]) -> frozenset[str]:
    return frozenset().union(*(content(text) for _, text in turns))


def match_score(new: Question, stored: Sequence[Turn], similarity: float) -> float | None:
    """`score_of` a stored question for a new one; `None` if its answer cannot be meant for it."""
    likeness = likeness_of(new, stored)
    return None if likeness == "different" else score_of(likeness, similarity)


def _leading_instructions(messages: Sequence[Mapping[str, Any]]) -> int:
    count = 0
    while count < len(messages) and messages[count].get("role") in ("system", "developer"):
        count += 1
    return count


def _plain_turns(messages: Sequence[Mapping[str, Any]]) -> tuple[Turn, ...] | None:
    turns = []
    for message in messages:
        text = _plain_text(message)
        if text is None or message.get("role") not in ("user", "assistant"):
            return None
        turns.append((str(message["role"]), text))
    return tuple(turns) if sum(len(text) for _, text in turns) <= _LONGEST_CONTEXT else None


def _plain_text(message: Mapping[str, Any]) -> str | None:
    """The text of a message that is nothing but text."""
    if any(value for name, value in message.items() if name not in {"role", "content"}):
        return None
    content = message.get("content")
    if isinstance(content, str):
        return content
    texts = list(map(_part_text, content)) if isinstance(content, Sequence) else []
    known = [text for text in texts if text is not None]
    return "\n".join(known) if texts and len(known) == len(texts) else None


def _part_text(part: object) -> str | None:
    """The text of a part of a message that is nothing but text."""
    if not isinstance(part, Mapping) or part.keys() != {"type", "text"} or part["type"] != "text":
        return None
    return part["text"] if isinstance(part["text"], str) else None


def _storable(text: str) -> bool:
    # PostgreSQL takes neither NUL nor half of a surrogate pair.
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")).hexdigest()
