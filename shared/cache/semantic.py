"""The semantic cache: answers a question with the stored answer to one that asks the same in other words.

`recall` finds the nearest stored questions of the same scope, lets the words decide which could be meant
(`semantic_comparison`), and serves an answer if it is right with the chance asked for
(`semantic_confidence`). Else the model is asked, and `learn` stores its answer and judges by it whether the
candidate would have been right.
"""

import math
import random
from asyncio import timeout
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg

from shared.cache.entry import Entry
from shared.cache.semantic_answers import EMBEDDED, agree, answer_text, cosine, plainly_agree
from shared.cache.semantic_confidence import SAME_WORDS, Tally, Use, chance_right, share_checked
from shared.cache.semantic_question import Question, match_score
from shared.cache.semantic_store import (
    DIMENSIONS,
    StoredQuestion,
    find_nearest,
    read_tally,
    write_entry,
    write_use,
)
from shared.errors import WeirError
from shared.postgres.database import Database

Embed = Callable[[Sequence[str]], Awaitable[Sequence[Sequence[float]]]]

# Seconds that a look-up may hold up a question, and for how long none is tried after one that failed.
_PATIENCE = 0.5
_REST = timedelta(seconds=5)

# What the embedding model and PostgreSQL fail with, be it that a migration is still to come.
_FAILURES = (WeirError, TimeoutError, psycopg.Error)


@dataclass(frozen=True, kw_only=True)
class Serve:
    """A stored answer that is right with at least the chance asked for.

    `similarity` is the cosine of the two questions, `chance` that of being right.
    """

    entry: Entry
    similarity: float
    chance: float


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A stored question that may ask the same, and how alike it is (`score_of`)."""

    stored: StoredQuestion
    score: float


@dataclass(frozen=True, kw_only=True)
class Explore:
    """The model is to be asked. For `learn`, once it has answered.

    `vector` of `None`: the look-up failed, and there is nothing to learn.
    """

    question: Question
    vector: tuple[float, ...] | None = None
    candidate: Candidate | None = None


class SemanticCache:
    """Answers by meaning, kept in PostgreSQL, apart by tenant."""

    def __init__(
        self, database: Database, embedding_model: str, *, draw: Callable[[], float] = random.random
    ) -> None:
        """Args:
        embedding_model: The model that `embed` asks; vectors of different models are never compared.
        draw: Uniform in [0, 1): which of the uses that could be served are checked.
        """
        self._database = database
        self._embedding_model = embedding_model
        self._draw = draw
        self._rests_until: datetime | None = None

    async def recall(
        self, embed: Embed, question: Question, *, error_bound: float = 0.02, now: datetime
    ) -> Serve | Explore:
        """Serve a stored answer, or say what is to be explored. Never an error: what fails is a miss.

        Args:
            embed: One vector per text; one call, of one or two texts. May raise `WeirError` or
                `TimeoutError`.
            error_bound: The share of served answers that may be wrong, above 0 and below 1.
        """
        if self._rests_until is not None and now < self._rests_until:
            return Explore(question=question)
        try:
            vector = _joined(await embed(question.embedded))
            if len(vector) not in DIMENSIONS:
                return Explore(question=question)
            async with timeout(_PATIENCE):
                nearest, tally = await self._look_up(question, vector, now)
        except _FAILURES:
            self._rests_until = now + _REST
            return Explore(question=question)
        return self._decided(question, vector, nearest, tally, error_bound)

    async def learn(
        self, embed: Embed, explored: Explore, entry: Entry, *, ttl_seconds: int, now: datetime
    ) -> None:
        """Store the model's answer, and judge by it the candidate's. Never an error.

        Answers that are no text alone, or did not end by themselves, are left out.
        """
        text = answer_text(entry.completion)
        if explored.vector is None or text is None:
            return
        try:
            use = await _judged(embed, explored.candidate, text)
            async with timeout(_PATIENCE):
                await self._write(explored, explored.vector, entry, use, timedelta(seconds=ttl_seconds))
        except _FAILURES:
            self._rests_until = now + _REST

    async def _look_up(
        self, question: Question, vector: Sequence[float], now: datetime
    ) -> tuple[list[StoredQuestion], Tally]:
        async with self._database.tenant(question.tenant_id) as connection:
            nearest = await find_nearest(
                connection, question.tenant_id, question.scope(self._embedding_model), vector, now=now
            )
            if not nearest:
                return [], Tally()
            tally_id = question.tally(self._embedding_model)
            return nearest, await read_tally(connection, question.tenant_id, tally_id)

    def _decided(
        self,
        question: Question,
        vector: tuple[float, ...],
        nearest: Sequence[StoredQuestion],
        tally: Tally,
        error_bound: float,
    ) -> Serve | Explore:
        candidate = best_candidate(question, nearest)
        if candidate is None:
            return Explore(question=question, vector=vector)
        stored, score = candidate.stored, candidate.score
        chance = chance_right(score, stored.uses, tally)
        if chance < 1 - error_bound or self._draw() < share_checked(score, tally):
            return Explore(question=question, vector=vector, candidate=candidate)
        return Serve(entry=stored.entry, similarity=stored.similarity, chance=chance)

    async def _write(
        self, explored: Explore, vector: Sequence[float], entry: Entry, use: Use | None, ttl: timedelta
    ) -> None:
        question = explored.question
        async with self._database.tenant(question.tenant_id) as connection:
            if explored.candidate is not None and use is not None:
                await write_use(
                    connection,
                    tenant_id=question.tenant_id,
                    entry_id=explored.candidate.stored.entry_id,
                    tally_id=question.tally(self._embedding_model),
                    use=use,
                )
            await write_entry(
                connection,
                tenant_id=question.tenant_id,
                entry_id=question.identity(self._embedding_model),
                scope=question.scope(self._embedding_model),
                turns=question.turns,
                vector=vector,
                entry=entry,
                ttl=ttl,
            )


def best_candidate(question: Question, nearest: Sequence[StoredQuestion]) -> Candidate | None:
    """The stored question most like this one, of those that may ask the same."""
    scored = [
        Candidate(stored=stored, score=score)
        for stored in nearest
        if (score := match_score(question, stored.turns, stored.similarity)) is not None
    ]
    return max(scored, key=lambda candidate: candidate.score, default=None)


async def _judged(embed: Embed, candidate: Candidate | None, answer: str) -> Use | None:
    """Whether the candidate's answer says what the model says now; `None` if that cannot be told."""
    stored = answer_text(candidate.stored.entry.completion) if candidate else None
    if candidate is None or stored is None:
        return None
    right = plainly_agree(stored, answer)
    if right is None:
        similarity = cosine(*await embed((stored[:EMBEDDED], answer[:EMBEDDED])))
        right = agree(stored, answer, similarity, same_words=candidate.score >= SAME_WORDS)
    return None if right is None else Use(candidate.score, right)


def _joined(vectors: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """One vector of unit length for a question: the mean of its parts' directions."""
    parts = [_unit(vector) for vector in vectors]
    return tuple(_unit([sum(column) for column in zip(*parts, strict=True)]))


def _unit(vector: Sequence[float]) -> list[float]:
    length = math.sqrt(sum(x * x for x in vector)) or 1.0
    return [x / length for x in vector]
