"""Where a request can go: the deployments of its model, then those of each model that may stand in for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.providers.catalog import Deployment, Models
from shared.providers.fallbacks import fallback_names


@dataclass(frozen=True)
class Route:
    """Tier 0 holds the deployments of the model that was asked for, each further tier those of a fallback."""

    tiers: tuple[tuple[Deployment, ...], ...]

    @classmethod
    def of(cls, deployments: Sequence[Deployment]) -> "Route":
        """A route without fallbacks."""
        return cls((tuple(deployments),))

    @property
    def deployments(self) -> tuple[Deployment, ...]:
        """All deployments, the first tier's first."""
        return self.tiers[0] if len(self.tiers) == 1 else tuple(d for tier in self.tiers for d in tier)

    def where(self, able: Callable[[Deployment], bool]) -> "Route":
        """The same without the deployments that are not able, and without tiers that have none left."""
        tiers = (tuple(d for d in tier if able(d)) for tier in self.tiers)
        return Route(tuple(tier for tier in tiers if tier))


def chat_route(models: Models, name: str, fallbacks: Sequence[str] | None = None) -> Route:
    """The route of a chat.

    Args:
        models: What is served.
        name: The model asked for, by any of its names.
        fallbacks: The models that may answer instead, in order; `None` for those that the catalog names.

    Raises:
        NotFoundError: No chat model has this name, or one that `fallbacks` names.
    """
    tiers = [models.chat(name)]
    if fallbacks is None:
        fallbacks = fallback_names(models.deployments, name)
    if fallbacks:
        tiers += [models.chat(fallback) for fallback in fallbacks]
    return Route(_each_once(tiers)) if len(tiers) > 1 else Route((tiers[0],))


def _each_once(tiers: Sequence[Sequence[Deployment]]) -> tuple[tuple[Deployment, ...], ...]:
    seen: set[str] = set()
    kept = []
    for tier in tiers:
        kept.append(tuple(d for d in tier if d.deployment_id not in seen))
        seen.update(d.deployment_id for d in tier)
    return tuple(tier for tier in kept if tier)
