"""Whether a passage can be what a claim rests on.

Words decide, so only what is plainly without support is found: a claim that shares no word of content with
the passage, or names a number that the passage does not. Claim and passage in different scripts cannot be
compared, nor can a claim of hardly any words; both are given the benefit of the doubt.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from shared.knowledge.passage import Passage
from shared.knowledge.sentences import sentences
from shared.knowledge.terms import query_terms

# How many words of content a claim must have to be judged.
FEWEST_TERMS = 3

# Words that say nothing of what a sentence is about.
_FUNCTION_WORDS = """\
a an and are as at be but by can do does for from has have he her his how i if in is it me my no not of on or
our she so such that the their them there they this to was we were what when which who will with you your"""

# Of two digits at least: smaller ones are written as words as often. Thousands may be set apart.
_NUMBER = re.compile(r"\d+(?:[,.]\d+)*")
_FEWEST_DIGITS = 2

# A marker such as [1] is no part of what is claimed.
MARKER = re.compile(r"[\[【［]\s*(?:[Ss]ources?\s*)?(\d{1,3}(?:\s*[,，、]\s*\d{1,3})*)\s*[\]】］]")

_UNKNOWING = re.compile(
    r"(?i)\b(?:do(?:es)? not|don't|cannot|can't|not) (?:know|say|answer|find|mention|contain|provide|found)"
    r"|\bno (?:source|information|answer)\b|不知道|没有(?:找到|提到|相关)|无法(?:回答|确定)|未(?:提及|找到)"
)

Verdict = Literal["supported", "partly_supported", "unsupported", "unknown"]


@dataclass(frozen=True)
class Support:
    """How much of an answer its sources bear out, and the sentences that none does, as ranges of the answer.

    `unknown`: the answer says itself that it does not know.
    """

    verdict: Verdict
    unsupported: tuple[tuple[int, int], ...]


def support_of(answer: str, passages: Sequence[Passage]) -> Support:
    """Hold each sentence of an answer against the passages that it names, or else those in its script.

    An answer of a few words is supported if any passage has one of them.
    """
    spans = sentences(answer)
    claims = [span for span in spans if len(_claimed(answer[slice(*span)])) >= FEWEST_TERMS]
    lacking = tuple(span for span in claims if not _is_borne_out(answer[slice(*span)], passages))
    if _UNKNOWING.search(answer) and len(lacking) == len(claims):
        return Support("unknown", ())
    if not claims:
        words = frozenset(query_terms(" ".join(map(_source, passages))))
        return Support("unsupported" if words.isdisjoint(_claimed(answer)) else "supported", ())
    if len(lacking) == len(claims):
        return Support("unsupported", lacking)
    return Support("partly_supported" if lacking else "supported", lacking)


def _is_borne_out(claim: str, passages: Sequence[Passage]) -> bool:
    numbers = {int(n) for marker in MARKER.finditer(claim) for n in re.findall(r"\d+", marker[1])}
    named = [passage for number, passage in enumerate(passages, 1) if number in numbers]
    alike = [passage for passage in passages if _is_wide(passage.text) == _is_wide(claim)]
    return any(may_support(passage, claim) for passage in named or alike or passages)


def _claimed(text: str) -> frozenset[str]:
    return content_terms(MARKER.sub("", text))


def may_support(passage: Passage, claim: str) -> bool:
    """False if the claim plainly does not rest on the passage."""
    claim = MARKER.sub("", claim)
    terms = content_terms(claim)
    source = _source(passage)
    if len(terms) < FEWEST_TERMS or _is_wide(claim) != _is_wide(passage.text):
        return True
    if not _numbers(claim) <= _numbers(source):
        return False
    return not terms.isdisjoint(query_terms(source))


def _source(passage: Passage) -> str:
    return " ".join((passage.filename, *passage.headings, passage.text))


def content_terms(text: str) -> frozenset[str]:
    """The terms of a text that say what it is about."""
    return frozenset(query_terms(text)) - _function_terms()


@cache
def _function_terms() -> frozenset[str]:
    return frozenset(query_terms(_FUNCTION_WORDS))


def _numbers(text: str) -> set[str]:
    found = {number.replace(",", "").rstrip(".") for number in _NUMBER.findall(text)}
    return {number for number in found if len(number) >= _FEWEST_DIGITS}


def _is_wide(text: str) -> bool:
    """Whether a text is mostly of letters that stand for syllables or words."""
    letters = [letter for letter in text if letter.isalpha()]
    return sum(letter >= "\u2e80" for letter in letters) * 4 > len(letters)
