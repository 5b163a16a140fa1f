"""Whether two texts ask the same, judged from their words: what an embedding cannot tell.

Embeddings put "turn it on" beside "turn it off", and order 48213 beside order 48231. So words decide first,
and an embedding only has a say where they leave it open.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from shared.cache import semantic_lexicon as lexicon
from shared.cache.semantic_wording import Wording, wording

Likeness = Literal["same", "added", "reworded", "different"]

_LETTERS = re.compile(r"[^\W\d_]+")

# Of a text with fewer words of weight, every word counts: "what is SETI", "what does SETI do".
_FEW = 2

# Prepositions that may stand for each other.
_TIES = dict.fromkeys(
    ["to", "for", "of", "in", "on", "at", "with", "about", "near", "within", "during"], "of"
)

# Prepositions that are never left out without a change of sense.
_STRICT = frozenset(["from", "by", "against", "via", "between", "per", "than"])


def compare(a: str, b: str, *, in_order: bool = False) -> Likeness:
    """How alike two texts are.

    `same`: no word of either is unaccounted for. `different`: something differs that is seldom a rewording:
    numbers, negation, quoted text, the kind of question, whose it is, who does what to whom. `reworded`:
    neither.

    Args:
        in_order: Whether a phrase that moved makes a difference, as it does in a list of offers.
    """
    ours, theirs = wording(a), wording(b)
    likeness = _compare(ours, theirs, in_order=in_order)
    if likeness == "same" or not (ours.english and theirs.english):
        return likeness
    respelled = _respelled(b, a)
    return likeness if respelled == b else _compare(ours, wording(respelled), in_order=in_order)


def _compare(a: Wording, b: Wording, *, in_order: bool) -> Likeness:
    if a == b:
        return "same"
    if _conflict(a, b):
        return "different"
    if Counter(a.words) != Counter(b.words) or (len(a.words) < _FEW and a.tokens != b.tokens):
        return "reworded"
    if a.words == b.words or (not in_order and _order_kept(a, b)):
        return "same"
    return "different"


def _conflict(a: Wording, b: Wording) -> bool:
    return (
        a.numbers != b.numbers
        or a.literals != b.literals
        or a.negations != b.negations
        or a.english != b.english
        or a.scripts != b.scripts
        or a.kind != b.kind
        or a.deictic != b.deictic
        or _moods_differ(a, b)
        or _persons_differ(a.persons, b.persons)
        or _places_differ(a, b)
        or _STRICT & {p for p, _ in a.places} != _STRICT & {p for p, _ in b.places}
    )


# Moods that make no difference to a kind of question: "how do I" and "how can I" ask the same.
_SAME_MOODS: dict[str, frozenset[str]] = {
    **dict.fromkeys(("how", "who", "where", "when"), frozenset({"", "can", "should", "must"})),
    "why": frozenset({"", "will"}),
}


def _moods_differ(a: Wording, b: Wording) -> bool:
    return a.mood != b.mood and not {a.mood, b.mood} <= _SAME_MOODS.get(a.kind, frozenset())


def _persons_differ(a: frozenset[str], b: frozenset[str]) -> bool:
    # "My booking" may be "a booking"; "your booking" may not.
    return (a - {"mine"}) != (b - {"mine"}) or bool(a and b and a != b)


def _places_differ(a: Wording, b: Wording) -> bool:
    """Whether a preposition leads another word, or another one leads a word: to Rome, from Rome."""
    behind = _grouped(a.places), _grouped(b.places)
    before = (
        _grouped((w, _TIES.get(p, p)) for p, w in a.places),
        _grouped((w, _TIES.get(p, p)) for p, w in b.places),
    )
    return any(
        not ours[key] & theirs[key]
        for ours, theirs in (behind, before)
        for key in ours.keys() & theirs.keys()
    )


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for key, value in pairs:
        found.setdefault(key, set()).add(value)
    return found


def _order_kept(a: Wording, b: Wording) -> bool:
    """Whether one text is the other with one phrase moved that a preposition leads: "in Word, how ..."."""
    if not (a.english and b.english) or a.kind == "who":
        return False
    led = {word for _, word in (*a.places, *b.places)}
    return any(block[0] in led for block in _moved_blocks(a.words, b.words))


def _moved_blocks(a: Sequence[str], b: Sequence[str]) -> list[Sequence[str]]:
    """The two neighbours that have to change places to make `b` of `a`; none if that does not do it."""
    start = 0
    while start < len(a) and a[start] == b[start]:
        start += 1
    end = len(a)
    while end > start and a[end - 1] == b[end - 1]:
        end -= 1
    inner, other = a[start:end], b[start:end]
    for cut in range(1, len(inner)):
        if (*inner[cut:], *inner[:cut]) == tuple(other):
            return [inner[:cut], inner[cut:]]
    return []


def _respelled(text: str, model: str) -> str:
    """`text` with those words spelled as in `model` that look like one of its words, mistyped."""
    known = frozenset(_LETTERS.findall(model.lower()))
    own = frozenset(_LETTERS.findall(text.lower()))
    missing = sorted(known - own)

    def respell(match: re.Match[str]) -> str:
        word = match[0].lower()
        return (
            match[0] if word in known else next((other for other in missing if _slip(word, other)), match[0])
        )

    return _LETTERS.sub(respell, text)


def _slip(a: str, b: str) -> bool:
    """Whether two words look like one, mistyped: another vowel, a letter too many, left out or swapped."""
    if (
        min(len(a), len(b)) < 4
        or a[0] != b[0]
        or not (a + b).isalpha()
        or frozenset((a, b)) in lexicon.CONFUSABLE
    ):
        return False
    short, long = sorted((a, b), key=len)
    if len(short) == len(long):
        wrong = [place for place in range(len(a)) if a[place] != b[place]]
        if len(wrong) == 1:
            return len(a) >= 6 and {a[wrong[0]], b[wrong[0]]} <= set("aeiouy")
        return (
            len(wrong) == 2
            and wrong[1] == wrong[0] + 1
            and a[wrong[0]] == b[wrong[1]]
            and a[wrong[1]] == b[wrong[0]]
        )
    return (
        len(long) == len(short) + 1
        and len(long) >= 5
        and any(
            long[:place] + long[place + 1 :] == short
            and (long[place] in long[place - 1 : place] + long[place + 1 : place + 2] or len(long) >= 7)
            for place in range(1, len(long) - 1)
        )
    )
