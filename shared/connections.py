"""Opens the stores that a function works with, from its settings, and closes them at the end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.aws.secrets import read_secret
from shared.postgres.database import Database
from shared.settings import DatabaseSettings, ValkeySettings
from shared.valkey.client import Valkey


@asynccontextmanager
async def open_database(settings: DatabaseSettings) -> AsyncIterator[Database]:
    """PostgreSQL by the URL behind `database_secret`. Connections are made when first needed.

    Raises:
        UnknownSecretError: There is no such secret.
    """
    database = Database(await read_secret(settings.database_secret), pool_size=settings.database_pool_size)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def open_valkey(settings: ValkeySettings) -> AsyncIterator[Valkey]:
    """Valkey with its failure policy, connected if it answers."""
    valkey = Valkey(
        settings.valkey_url, cluster=settings.valkey_cluster, timeout_ms=settings.valkey_timeout_ms
    )
    await valkey.connect()
    try:
        yield valkey
    finally:
        await valkey.close()
