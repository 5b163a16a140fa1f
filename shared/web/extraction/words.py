"""The words of a text, for counting and comparing."""

import re
from typing import Final

# Scripts that set no space between words: each sign counts as one.
_SIGNS: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_WORD: Final = re.compile(f"[{_SIGNS}]|[^\\W{_SIGNS}]+")
# The same for a text in ASCII, at half the cost.
_ASCII_WORD: Final = re.compile(r"\w+", re.ASCII)


def words_of(text: str) -> list[str]:
    """The words in lower case; of Chinese and Japanese, the signs."""
    return (_ASCII_WORD if text.isascii() else _WORD).findall(text.lower())
