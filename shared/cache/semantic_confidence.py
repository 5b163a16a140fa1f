"""How sure it is that a stored answer fits another question: learned from uses that were judged.

After vCache (https://arxiv.org/abs/2502.03771): every entry has a threshold of its own, and the chance that
its answer is right is a logistic function of how far the likeness lies above it. What is known of the
threshold is a distribution over a grid. It starts from all judged uses of the tenant, as the share that was
right may not fall with growing likeness, and is sharpened by the entry's own. Two things are stricter than
in the paper: an answer is served only if it is right with at least the chance asked for, by itself (there, a
doubtful one is served now and then because the many that were asked anew make up for it); and some uses are
always checked, many of them at first, so that a wrong belief is found out.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from shared.cache.semantic_comparison import Likeness

# Lower ends of the classes of likeness. From 1 on the words say the same, and more was said before; from 2
# on they say the same throughout.
EDGES = (0.0, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0, 2.0)

# The score from which the words of two questions say the same throughout.
SAME_WORDS = EDGES[-1]

# What is believed of each class before anything was judged: right and wrong uses. The last two rest on
# labelled pairs (bench/semantic.py), of which those were right.
_BELIEVED_RIGHT = (0.5,) * 7 + (12.0, 100.0)
_BELIEVED_WRONG = (0.5,) * 7 + (0.5, 0.25)

# How steeply the chance rises around a threshold, and what is left to luck on either side.
_STEEPNESS = 400.0
_LUCK = 0.005

# Judged uses of an entry that are kept.
REMEMBERED = 64

_ALWAYS_CHECKED = 0.01
_CHECKED_AT_FIRST = 4


@dataclass(frozen=True)
class Tally:
    """Judged uses by class of likeness, one number per class of `EDGES`."""

    right: tuple[int, ...] = (0,) * len(EDGES)
    wrong: tuple[int, ...] = (0,) * len(EDGES)

    def add(self, score: float, *, right: bool) -> "Tally":
        """One more judged use."""
        place = class_of(score)
        counts = list(self.right if right else self.wrong)
        counts[place] += 1
        return Tally(tuple(counts), self.wrong) if right else Tally(self.right, tuple(counts))


@dataclass(frozen=True)
class Use:
    """A judged use of an entry's answer: how alike the questions were, and whether it was right."""

    score: float
    right: bool


def score_of(likeness: Likeness, similarity: float) -> float:
    """One number for how alike two questions are: the cosine, and more if the words say the same."""
    return min(max(similarity, 0.0), 0.999) + {"same": 2.0, "added": 1.0}.get(likeness, 0.0)


def class_of(score: float) -> int:
    """The class of likeness."""
    return max(place for place, edge in enumerate(EDGES) if place == 0 or score >= edge)


def chance_right(score: float, uses: Sequence[Use], tally: Tally) -> float:
    """The chance, 0 to 1 and rather too low, that an answer is right for a question this much like its own.

    Args:
        uses: What was judged of this entry.
        tally: What was judged of all entries of the tenant, and of the same kind of question.
    """
    weights = _thresholds(tally)
    for use in uses:
        for place, weight in enumerate(weights):
            chance = _chance(use.score, place)
            weights[place] = weight * (chance if use.right else 1 - chance)
        total = sum(weights)
        weights = [weight / total for weight in weights]
    return sum(weight * _chance(score, place) for place, weight in enumerate(weights))


def share_checked(score: float, tally: Tally) -> float:
    """Which share of the uses that could be served is asked anew all the same, to be judged."""
    place = class_of(score)
    judged = tally.right[place] + tally.wrong[place]
    return max(_ALWAYS_CHECKED, _CHECKED_AT_FIRST / (_CHECKED_AT_FIRST + judged))


def _thresholds(tally: Tally) -> list[float]:
    """The weight of each threshold of `EDGES`, and of none at all: of answers that fit no other question."""
    shares = _rising(
        (right + believed_right, wrong + believed_wrong)
        for right, wrong, believed_right, believed_wrong in zip(
            tally.right, tally.wrong, _BELIEVED_RIGHT, _BELIEVED_WRONG, strict=True
        )
    )
    return [shares[0], *(after - before for before, after in pairwise(shares)), 1 - shares[-1]]


def _chance(score: float, place: int) -> float:
    if place == len(EDGES):
        return _LUCK
    distance = _STEEPNESS * (score - EDGES[place])
    return _LUCK + (1 - 2 * _LUCK) / (1 + math.exp(-max(-60.0, min(60.0, distance))))


def _rising(counts: Iterable[tuple[float, float]]) -> list[float]:
    """A careful share of right ones per class, not falling: classes that would fall are taken together."""
    groups: list[tuple[float, float, int]] = []
    for right, wrong in counts:
        groups.append((right, wrong, 1))
        while len(groups) > 1 and _careful(*groups[-2][:2]) > _careful(*groups[-1][:2]):
            (r1, w1, n1), (r2, w2, n2) = groups[-2:]
            groups[-2:] = [(r1 + r2, w1 + w2, n1 + n2)]
    return [_careful(right, wrong) for right, wrong, size in groups for _ in range(size)]


def _careful(right: float, wrong: float) -> float:
    """The mean of a beta distribution less its standard deviation."""
    total = right + wrong
    mean = right / total
    return max(0.0, mean - math.sqrt(mean * (1 - mean) / (total + 1)))
