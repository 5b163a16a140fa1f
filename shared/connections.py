"""Opens the stores that a function works with, from its settings, and closes them at the end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.aws.secrets import read_secret
from shared.postgres.database import Database, Url
from shared.settings import DatabaseSettings, ReplicaSettings, ValkeySettings
from shared.store_urls import database_url, is_login, valkey_url
from shared.valkey.client import Valkey


@asynccontextmanager
async def open_database(settings: DatabaseSettings) -> AsyncIterator[Database]:
    """PostgreSQL by the URL or login behind `database_secret`. Connections are made when first needed.

    Raises:
        UnknownSecretError: There is no such secret.
        UnusableSecretError: It is JSON, but no login.
    """
    database = Database(
        await _read_url(settings.database_secret),
        pool_size=settings.database_pool_size,
        connect_timeout=settings.database_connect_seconds,
    )
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def open_replica(settings: ReplicaSettings) -> AsyncIterator[Database | None]:
    """The read replica, or `None` where there is none. Raises as `open_database`."""
    if not settings.database_reader_secret:
        yield None
        return
    reader = settings.model_copy(update={"database_secret": settings.database_reader_secret})
    async with open_database(reader) as replica:
        yield replica


async def _read_url(reference: str) -> Url:
    """A URL stays the same. A login may rotate while a function lives: later connections read it anew."""
    secret = await read_secret(reference)
    unused = [database_url(secret)]
    if not is_login(secret):
        return unused[0]

    async def latest() -> str:
        return unused.pop() if unused else database_url(await read_secret(reference))

    return latest


@asynccontextmanager
async def open_valkey(settings: ValkeySettings) -> AsyncIterator[Valkey]:
    """Valkey with its failure policy, connected if it answers.

    Raises:
        UnknownSecretError: There is no secret behind `valkey_secret`.
    """
    url = settings.valkey_url
    if settings.valkey_secret:
        url = valkey_url(url, await read_secret(settings.valkey_secret))
    valkey = Valkey(url, cluster=settings.valkey_cluster, timeout_ms=settings.valkey_timeout_ms)
    await valkey.connect()
    try:
        yield valkey
    finally:
        await valkey.close()
