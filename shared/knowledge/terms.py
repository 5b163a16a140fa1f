"""Text to the terms of full-text search, the same for documents and questions.

English is lower-cased and stemmed (Snowball); Chinese, Japanese and Korean are cut into single characters and
pairs, which needs no dictionary and finds as well as a segmenter does; a question asks for pairs alone, where
it has one. PostgreSQL's own configurations cannot do the latter, and no extension that could is on RDS.
"""

import re
import unicodedata
from itertools import pairwise

# Unified ideographs with their extensions, kana and Hangul: scripts written without spaces between words, or
# where word and suffix run together.
_CJK = r"\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U000323af"
_RUN = re.compile(rf"(?P<cjk>[{_CJK}]+)|[^\W_{_CJK}]+")

# A lexeme of PostgreSQL holds 2,046 bytes; nobody searches for a word of that length.
_LONGEST = 64


def document_terms(text: str) -> list[str]:
    """Every term of `text` in order, repeats kept. A term is at most 64 letters and digits."""
    return _terms(text, pairs_only=False)


def query_terms(text: str) -> list[str]:
    """The different terms that a question asks for, in order."""
    return list(dict.fromkeys(_terms(text, pairs_only=True)))


def _terms(text: str, *, pairs_only: bool) -> list[str]:
    # A stemmer keeps state while it works; one of its own makes this safe in threads, and costs 0.2 µs.
    from Stemmer import Stemmer

    stem = Stemmer("english", 0).stemWord
    found: list[str] = []
    for match in _RUN.finditer(unicodedata.normalize("NFKC", text).lower()):
        run = match[0]
        if match["cjk"]:
            if len(run) == 1 or not pairs_only:
                found += run
            found += map("".join, pairwise(run))
        else:
            found.append(stem(run[:_LONGEST]))
    return found
