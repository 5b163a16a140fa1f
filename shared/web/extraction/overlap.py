"""Which pieces of a page stand in a text that was made from the page in another way."""

from collections.abc import Sequence
from typing import Final

from shared.web.extraction.piece import Piece
from shared.web.extraction.words import words_of

# Words in a row that tell one place of a text from another.
_LENGTH: Final = 3
_Run = tuple[str, str, str]


def shares_within(pieces: Sequence[Piece], text: str) -> list[float]:
    """For each piece, the share of its runs of three words that the text has; short ones are looked for as
    whole lines."""
    known = {piece.text: piece.words for piece in pieces}
    lines = [known.get(line) or tuple(words_of(line)) for line in text.split("\n")]
    words = [word for line in lines for word in line]
    runs = set(zip(words, words[1:], words[2:], strict=False))
    whole = set(lines)
    return [_share(piece.words, runs, whole) for piece in pieces]


def _share(words: tuple[str, ...], runs: set[_Run], lines: set[tuple[str, ...]]) -> float:
    if len(words) <= _LENGTH:
        return float(bool(words) and words in lines)
    own = zip(words, words[1:], words[2:], strict=False)
    return sum(map(runs.__contains__, own)) / (len(words) - _LENGTH + 1)
