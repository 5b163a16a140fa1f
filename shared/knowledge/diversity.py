"""Orders passages so that they do not all say the same. Pure."""

from collections.abc import Mapping, Sequence

from shared.knowledge.ranking import ChunkKey, Ranked


def diversified(
    ranked: Sequence[Ranked],
    alike: Mapping[tuple[ChunkKey, ChunkKey], float],
    *,
    diversity: float,
    count: int,
) -> list[Ranked]:
    """The first `count` by maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998), scores kept.

    The next is always the one with the largest score, weighted `1 - diversity`, less its likeness to the most
    alike of those before it, weighted `diversity`. Scores may rise down this list.

    Args:
        alike: The cosine of two chunks; those that are not there have nothing in common.
        diversity: 0 keeps the order, 1 looks at differences alone.
    """
    left, chosen = list(ranked), list[Ranked]()
    nearest = dict.fromkeys((r.key for r in left), 0.0)
    while left and len(chosen) < count:
        best = max(left, key=lambda r: (1 - diversity) * r.score - diversity * nearest[r.key])
        left.remove(best)
        chosen.append(best)
        for other in left:
            nearest[other.key] = max(nearest[other.key], alike.get((best.key, other.key), 0.0))
    return chosen
