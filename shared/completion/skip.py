"""An answer that was begun elsewhere, asked for again: what is said already is left out.

The second answer must begin as the first did, word for word; one that goes another way cannot be joined.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from shared.providers.failures import UpstreamFailure

# One text of an answer: the choice, the field and, for arguments of a tool, the tool's place.
Path = tuple[int, str, int]


class AlreadySaid:
    """What a client has, and what of a new answer's chunks is new to it."""

    def __init__(self, chunks: Iterable[Mapping[str, Any]], provider: str) -> None:
        self._provider = provider
        pieces: dict[Path, list[str]] = {}
        for chunk in chunks:
            for choice in chunk.get("choices") or ():
                for path, text in _texts(choice):
                    pieces.setdefault(path, []).append(text)
        self._said = {path: "".join(texts) for path, texts in pieces.items()}
        # How much of each text has been said again.
        self._again = dict.fromkeys(self._said, 0)
        self._begun = {path[0] for path in self._said}

    @property
    def repeated(self) -> bool:
        """Whether the new answer has said all that the old one had."""
        return all(self._again[path] == len(said) for path, said in self._said.items())

    def new_in(self, chunk: dict[str, Any]) -> dict[str, Any] | None:
        """The chunk without what was said; `None` when nothing is left of it.

        Raises:
            UpstreamFailure: It says something else than the first answer did.
        """
        if self.repeated:
            return chunk
        choices = [self._new_in_choice(choice) for choice in chunk.get("choices") or ()]
        kept = [choice for choice in choices if choice is not None]
        return {**chunk, "choices": kept} if kept else None

    def _new_in_choice(self, choice: dict[str, Any]) -> dict[str, Any] | None:
        delta: dict[str, Any] = {}
        for path, text in _texts(choice):
            new = self._without_said(path, text)
            if not new:
                continue
            if path[1] == "arguments":
                delta.setdefault("tool_calls", []).append({"index": path[2], "function": {"arguments": new}})
            else:
                delta[path[1]] = new
        if choice.get("finish_reason") and not self.repeated:
            raise self._other()
        if not delta and not choice.get("finish_reason") and choice.get("index", 0) in self._begun:
            return None
        return {**choice, "delta": delta}

    def _without_said(self, path: Path, text: str) -> str:
        said, again = self._said.get(path, ""), self._again.get(path, 0)
        repeated = min(len(text), len(said) - again)
        if not said.startswith(text[:repeated], again):
            raise self._other()
        if path in self._again:
            self._again[path] = again + repeated
        return text[repeated:]

    def _other(self) -> UpstreamFailure:
        return UpstreamFailure(
            "broken", self._provider, "the answer could not be taken up where it broke off"
        )


def _texts(choice: Mapping[str, Any]) -> list[tuple[Path, str]]:
    index, delta = choice.get("index", 0), choice.get("delta") or {}
    found = [
        ((index, name, 0), value)
        for name in ("reasoning_content", "content", "refusal")
        if isinstance(value := delta.get(name), str) and value
    ]
    found += [
        ((index, "arguments", call.get("index", 0)), arguments)
        for call in delta.get("tool_calls") or ()
        if (arguments := (call.get("function") or {}).get("arguments"))
    ]
    return found
