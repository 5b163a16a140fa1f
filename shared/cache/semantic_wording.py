"""What a text says, as far as its words decide what it asks.

English is read with care: turns of phrase, number and tense, common synonyms. Chinese, Japanese and Korean
are read by their characters, other languages word for word.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise

from shared.cache import semantic_lexicon as lexicon

_CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
# Codes (`PB-5521`), numbers with their separators, words, single characters of CJK, and signs with a sense.
_TOKEN = re.compile(
    rf"[a-z]+(?:-?\d[\w-]*)|\d+(?:[.,:/-]\d+)*|[^\W\d_{_CJK}]+|[{_CJK}]|[^\w\s.,;:!?'\"()\[\]…-]"
)
_LITERAL = re.compile(
    r"```.*?```|`[^`]+`|\"[^\"]+\"|“[^”]+”|‘[^’]+’|https?://\S+|\S+@\S+\.\S+|(?<!\w)'[^']+'(?!\w)", re.DOTALL
)
_ACRONYM = re.compile(r"\b[A-Z]{2,}\b")
_CJK_NEGATIONS = frozenset("不没沒无無别別未非勿")
_ENGLISH_SHARE = 0.2

_DOERS = frozenset(["i", "you", "we", "they", "it", "he", "she", "to"])


@dataclass(frozen=True, kw_only=True)
class Wording:
    """A text as far as its words decide what it asks."""

    tokens: tuple[str, ...]
    words: tuple[str, ...]
    numbers: tuple[str, ...]
    literals: tuple[str, ...]
    negations: int
    kind: str
    mood: str
    persons: frozenset[str]
    deictic: bool
    places: tuple[tuple[str, str], ...]
    english: bool
    scripts: frozenset[str]


def says_nothing(text: str) -> bool:
    """Whether a text is courtesy alone: "ok, thanks"."""
    found = wording(text)
    return not (found.words or found.literals or found.negations)


def content(text: str) -> frozenset[str]:
    """The words of weight and the numbers of a text, by their meaning."""
    found = wording(text)
    return frozenset((*found.words, *found.literals))


@lru_cache(maxsize=1024)
def wording(text: str) -> Wording:
    """Read a text."""
    folded = unicodedata.normalize("NFKC", text).replace("’", "'")
    literals = tuple(sorted(match[0].strip("\"'“”‘’`") for match in _LITERAL.finditer(folded)))
    plain = _trimmed(_plain(_marked(folded).lower()))
    tokens = _TOKEN.findall(plain)
    english = _is_english(tokens)
    if english:
        tokens = _TOKEN.findall(_rephrased(plain))
    numbers, words = _split(tokens, english=english)
    kind, mood = _question(tokens) if english else ("", "")
    return Wording(
        tokens=tuple(token for token in tokens if token not in {"a", "an", "the"}),
        words=tuple(words),
        numbers=tuple(sorted(numbers)),
        literals=literals,
        negations=sum(_negates(token) for token in tokens) % 2,
        kind=kind,
        mood=mood,
        persons=_persons(tokens) if english else frozenset(),
        deictic=english and not {"this", "these"}.isdisjoint(tokens),
        places=_places(tokens) if english else (),
        english=english,
        scripts=frozenset(_script(word) for word in words if word.isalpha()),
    )


def _marked(text: str) -> str:
    """The text with acronyms that look like small words made different from them: IT, US, WHO."""
    if text.isupper():
        return text
    return _ACRONYM.sub(
        lambda match: f"{match[0]}acronym" if match[0].lower() in lexicon.FUNCTION_WORDS else match[0], text
    )


def _plain(text: str) -> str:
    """Lower-case words with single spaces between, contractions written out, without marks of punctuation."""
    for pattern, word in lexicon.CONTRACTIONS:
        text = pattern.sub(word, text)
    text = re.sub(r"(?<=[a-z])[-_](?=[a-z])", " ", text)
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    text = re.sub(r"(?<=\d)(?=[a-z]+\b)", " ", text)
    text = re.sub(
        r"(?<!\d)[.,:-](?!\d)|(?<=\d)[.,:](?!\d)|(?<!\d)[,:](?=\d)|[;!?'\"()\[\]…，。？！、；：]", " ", text
    )
    return " ".join(text.split())


def _is_english(tokens: Sequence[str]) -> bool:
    known = sum(token in lexicon.FUNCTION_WORDS or token in lexicon.AUXILIARIES for token in tokens)
    return known >= _ENGLISH_SHARE * len(tokens)


def _rephrased(text: str) -> str:
    for pattern, word in lexicon.PHRASES:
        text = pattern.sub(word, text)
    return _trimmed(" ".join(text.split()))


def _trimmed(text: str) -> str:
    before = None
    while before != text:
        before = text
        prefix = lexicon.PREFIX.match(text)
        text = (text[prefix.end() :] if prefix else text).strip()
        text = lexicon.SUFFIX.sub("", text).strip()
    return text


def _split(tokens: Sequence[str], *, english: bool) -> tuple[list[str], list[str]]:
    """The numbers; and the words, numbers among them: of English only those of weight, by their meaning."""
    if not english:
        return [token for token in tokens if _is_number(token)], list(tokens)
    named = [lexicon.NUMBER_WORDS.get(token, token) for token in tokens]
    words = [
        token if _is_number(token) else _meaning(token)
        for token in named
        if token not in lexicon.FUNCTION_WORDS
    ]
    return [token for token in named if _is_number(token)], words


def _has_weight(tokens: Sequence[str], place: int) -> bool:
    """Whether a function word is more than that where it stands: "what can I do", "what is it for"."""
    if tokens[place] in lexicon.PREPOSITIONS:
        return place == len(tokens) - 1
    return tokens[place] in {"do", "doing", "done"} and place > 0 and tokens[place - 1] in _DOERS


def _is_number(token: str) -> bool:
    return any(character.isdigit() for character in token)


@lru_cache(maxsize=8192)
def _meaning(word: str) -> str:
    """A word without the ending of number, and the first of its synonyms in its stead.

    The endings of verbs stay: "force" and "forced", "farm" and "farming" are two things.
    """
    root, ending = _uninflected(word)
    return _synonyms().get(root, root) + ending


def _uninflected(word: str) -> tuple[str, str]:
    if word not in lexicon.NOT_PLURALS and len(word) > 3 and word.endswith("s") and word[-2] not in "sui":
        word = f"{word[:-3]}y" if word.endswith("ies") and len(word) > 4 else word[:-1]
        word = word.removesuffix("e") if word.endswith(("she", "che", "sse", "xe")) else word
    for ending in ("ing", "ed"):
        root = word.removesuffix(ending)
        if root != word and len(root) > 2 and not set("aeiouy").isdisjoint(root):
            doubled = root[-1] == root[-2] and root[-1] not in "lsz"
            return (root[:-1] if doubled else root).removesuffix("e"), f"+{ending}"
    return (word.removesuffix("e") if len(word) > 3 else word), ""


def _negates(token: str) -> bool:
    return token in lexicon.NEGATIONS or token in _CJK_NEGATIONS


def _question(tokens: Sequence[str]) -> tuple[str, str]:
    """The kind of question, and its mood."""
    place = next((i for i, token in enumerate(tokens) if token in lexicon.QUESTION_WORDS), None)
    mood = next((lexicon.MOODS[token] for token in tokens if token in lexicon.MOODS), "")
    if place is None:
        asks = any(
            token in lexicon.AUXILIARIES
            and (i == 0 or (tokens[i + 1 : i + 2] and tokens[i + 1] in lexicon.SUBJECTS))
            for i, token in enumerate(tokens)
        )
        return ("" if asks else "statement"), mood
    word = tokens[place]
    following = tokens[place + 1] if place + 1 < len(tokens) else ""
    if word == "how" and following in lexicon.MEASURES:
        return f"how {following}", mood
    return {"which": "what", "whom": "who"}.get(word, word), mood


def _places(tokens: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Each preposition with the first word of weight behind it."""
    found = []
    for place, token in enumerate(tokens):
        if token in lexicon.PREPOSITIONS:
            following = next((t for t in tokens[place + 1 :] if t not in lexicon.FUNCTION_WORDS), None)
            if following is not None:
                named = lexicon.NUMBER_WORDS.get(following, following)
                found.append(("to" if token in {"into", "onto"} else token, _meaning(named)))
    return tuple(found)


def _persons(tokens: Sequence[str]) -> frozenset[str]:
    """Whose something is, whom it is for, and who is asked what they are."""
    found = {lexicon.OWNERS[token] for token in tokens if token in lexicon.OWNERS}
    for before, word in pairwise(tokens):
        if before in lexicon.PREPOSITIONS and word in lexicon.OBJECTS:
            found.add(lexicon.OBJECTS[word])
        elif before in {"are", "were"} and word == "you":
            found.add("yours")
    return frozenset(found)


def _script(word: str) -> str:
    name = unicodedata.name(word[0], "?").split()[0]
    return "CJK" if name in {"CJK", "HIRAGANA", "KATAKANA", "HANGUL"} else name


@cache
def _synonyms() -> Mapping[str, str]:
    return {_uninflected(word)[0]: _uninflected(group[0])[0] for group in lexicon.SYNONYMS for word in group}
