"""What is served is right as often as was asked for."""

import math
import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.cache.semantic_confidence import (
    EDGES,
    REMEMBERED,
    Tally,
    Use,
    chance_right,
    class_of,
    score_of,
    share_checked,
)

SAME = score_of("same", 0.9)
ADDED = score_of("added", 0.9)
REWORDED = score_of("reworded", 0.97)


def test_likeness_comes_before_the_cosine() -> None:
    scores = [
        score_of("reworded", 0.99),
        score_of("added", 0.1),
        score_of("added", 1.0),
        score_of("same", 0.1),
    ]
    assert scores == sorted(scores)
    assert [class_of(score) for score in scores] == [6, 7, 7, 8]


def test_at_first_only_the_same_words_are_trusted() -> None:
    assert chance_right(SAME, (), Tally()) >= 0.98
    assert chance_right(ADDED, (), Tally()) < 0.98
    assert chance_right(REWORDED, (), Tally()) < 0.6


def test_a_wrong_use_ends_the_trust_in_an_entry_and_right_ones_bring_it_back() -> None:
    wrong = (Use(SAME, False),)
    assert chance_right(SAME, wrong, Tally()) < 0.6
    assert chance_right(SAME, wrong + (Use(SAME, True),) * 5, Tally()) > 0.95


def test_rewordings_come_to_be_trusted_where_they_prove_right() -> None:
    tally = Tally()
    for _ in range(200):
        tally = tally.add(REWORDED, right=True)
    assert chance_right(REWORDED, (), tally) >= 0.98
    assert chance_right(score_of("reworded", 0.65), (), tally) < 0.6


@given(
    st.lists(st.tuples(st.floats(0, 2.99), st.booleans()), max_size=40),
    st.floats(0, 2.99),
    st.floats(0, 2.99),
)
def test_more_alike_is_never_less_sure(judged: list[tuple[float, bool]], a: float, b: float) -> None:
    tally = Tally()
    for score, right in judged:
        tally = tally.add(score, right=right)
    uses = [Use(score, right) for score, right in judged[:REMEMBERED]]
    low, high = sorted((a, b))
    chances = chance_right(low, uses, tally), chance_right(high, uses, tally)
    assert 0 <= chances[0] <= chances[1] + 1e-12 <= 1 + 1e-9


def test_checks_are_many_at_first_and_never_end() -> None:
    tally = Tally()
    assert share_checked(SAME, tally) == 1
    for _ in range(1000):
        tally = tally.add(SAME, right=True)
    assert share_checked(SAME, tally) == pytest.approx(0.01)


@dataclass
class World:
    """Entries with thresholds of their own, which the cache learns of only by checking."""

    rng: random.Random
    thresholds: list[int]
    served: int = 0
    wrong: int = 0

    def run(self, lookups: int, error_bound: float) -> None:
        uses: list[list[Use]] = [[] for _ in self.thresholds]
        tally = Tally()
        for _ in range(lookups):
            entry = self.rng.randrange(len(self.thresholds))
            place = self.rng.randrange(len(EDGES))
            score = EDGES[place] + self.rng.uniform(0.0, 0.05)
            right = place >= self.thresholds[entry]
            sure = chance_right(score, uses[entry][-REMEMBERED:], tally) >= 1 - error_bound
            if sure and self.rng.random() >= share_checked(score, tally):
                self.served += 1
                self.wrong += not right
            else:
                uses[entry].append(Use(score, right))
                tally = tally.add(score, right=right)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    error_bound=st.sampled_from([0.02, 0.05, 0.1]),
    never=st.floats(0, 1),
    lowest=st.integers(0, len(EDGES) - 1),
)
def test_served_answers_are_wrong_no_more_often_than_allowed(
    seed: int, error_bound: float, never: float, lowest: int
) -> None:
    rng = random.Random(seed)
    thresholds = [
        len(EDGES) if rng.random() < never else rng.randrange(lowest, len(EDGES)) for _ in range(30)
    ]
    world = World(rng, thresholds)
    world.run(1500, error_bound)
    # What chance may add to such a share, and the few served before a wrong belief is found out.
    slack = 3 * math.sqrt(error_bound * max(1, world.served)) + 3
    assert world.wrong <= error_bound * world.served + slack


def test_it_does_serve_where_answers_fit() -> None:
    world = World(random.Random(1), [7] * 30)
    world.run(3000, 0.02)
    assert world.served > 300
    assert world.wrong == 0
