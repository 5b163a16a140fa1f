"""The models that are served, and the router that reaches them."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shared.providers.catalog import Catalog, Models
from shared.providers.load import load_catalog, load_credentials
from shared.routing.patience import Patience
from shared.routing.router import Router
from shared.settings import CatalogSettings, RoutingSettings
from shared.valkey.client import Valkey


@dataclass(frozen=True)
class Upstreams:
    """What can be called, and what calls it."""

    models: Models
    router: Router


@asynccontextmanager
async def open_upstreams(
    settings: CatalogSettings, *, valkey: Valkey | None = None, routing: RoutingSettings | None = None
) -> AsyncIterator[Upstreams]:
    """The catalog's providers whose secret is there; their connections are closed at the end.

    Args:
        settings: Which providers there are.
        valkey: Where all processes share what they know of the deployments; without it each knows its own.
        routing: How long to wait for what, if not for as long as usual.

    Raises:
        CatalogError: The user's catalog is not there or not of the documented form.
    """
    # Environments that start from one snapshot would all draw the same deployments.
    random.seed()
    credentials = await load_credentials(await load_catalog(settings.catalog), settings.provider_secrets)
    served = {c.provider.name: c.provider for c in credentials}
    router = Router(credentials, valkey, patience=_patience(routing) if routing else None)
    try:
        yield Upstreams(Models(Catalog(providers=tuple(served.values()))), router)
    finally:
        await router.close()


def _patience(settings: RoutingSettings) -> Patience:
    return Patience(
        request_seconds=settings.request_seconds,
        first_token_seconds=settings.first_token_seconds,
        stall_seconds=settings.stall_seconds,
    )
