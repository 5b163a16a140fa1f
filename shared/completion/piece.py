"""One event of an answer under way, as its readers and its log get it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from shared.cache.flights import LogItem


@dataclass(frozen=True, slots=True)
class Piece:
    """One event of the answer: its number from 1 (0 for a comment), its bytes, and its chunk."""

    index: int
    raw: bytes
    chunk: Mapping[str, Any] | None

    def item(self) -> LogItem:
        """As it stands in the log."""
        data = self.raw.removeprefix(b"data: ")
        plain = len(data) < len(self.raw) and b"\n" not in data and b"\r" not in data
        return LogItem("chunk", self.index, data if plain else orjson.dumps(self.chunk))
