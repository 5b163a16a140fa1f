"""The models that are served, and the router that reaches them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shared.providers.catalog import Catalog, Models
from shared.providers.load import load_catalog, load_credentials
from shared.routing.router import Router
from shared.settings import CatalogSettings


@dataclass(frozen=True)
class Upstreams:
    """What can be called, and what calls it."""

    models: Models
    router: Router


@asynccontextmanager
async def open_upstreams(settings: CatalogSettings) -> AsyncIterator[Upstreams]:
    """The catalog's providers whose secret is there; their connections are closed at the end.

    Raises:
        CatalogError: The user's catalog is not there or not of the documented form.
    """
    credentials = await load_credentials(await load_catalog(settings.catalog), settings.provider_secrets)
    router = Router(credentials)
    try:
        yield Upstreams(Models(Catalog(providers=tuple(c.provider for c in credentials))), router)
    finally:
        await router.close()
