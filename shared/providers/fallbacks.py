"""Which models stand in for one that does not answer: the chains that the catalog's rows spell."""

from collections import deque
from collections.abc import Mapping

from shared.providers.catalog import Catalog, CatalogError, Deployment
from shared.providers.model_rows import ChatModel

Deployments = Mapping[str, tuple[Deployment, ...]]


def fallback_names(deployments: Deployments, name: str) -> tuple[str, ...]:
    """The models to ask after `name`, in order: those its rows name, then those that these name, each once.

    Args:
        deployments: By every name that reaches them, as `Catalog.deployments` gives them. Names that are not
            among them are not followed: their provider has no key here.
    """
    found: dict[str, None] = {}
    left = deque(_named_by(deployments, name))
    while left:
        fallback = left.popleft()
        if fallback not in found and fallback in deployments:
            found[fallback] = None
            left.extend(_named_by(deployments, fallback))
    return tuple(found)


def check_fallbacks(catalog: Catalog) -> None:
    """Refuse chains that lead nowhere or back.

    Raises:
        CatalogError: A row names a fallback that is no chat model, or that leads back to the row's model.
    """
    deployments = catalog.deployments()
    for provider in catalog.providers:
        for model in provider.models:
            if isinstance(model, ChatModel):
                _check(deployments, model, (model.name,))


def _check(deployments: Deployments, model: ChatModel, path: tuple[str, ...]) -> None:
    for fallback in model.fallbacks:
        rows = [d.model for d in deployments.get(fallback, ()) if isinstance(d.model, ChatModel)]
        if not rows:
            raise CatalogError(f"The model {path[-1]!r} falls back to {fallback!r}, which is no chat model.")
        for row in rows:
            if row.name in path:
                circle = " -> ".join((*path, row.name))
                raise CatalogError(f"Fallbacks go round in a circle: {circle}. Leave one of them out.")
            _check(deployments, row, (*path, row.name))


def _named_by(deployments: Deployments, name: str) -> list[str]:
    models = (d.model for d in deployments.get(name, ()))
    return [fallback for m in models if isinstance(m, ChatModel) for fallback in m.fallbacks]
