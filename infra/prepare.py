"""Prepares a PostgreSQL for a deployment, from a machine that reaches it:

    WEIR_OWNER_URL=postgresql://... python -m infra.prepare TENANT
    WEIR_OWNER_SECRET=... WEIR_DATABASE_SECRET=... python -m infra.prepare TENANT

Brings the schema up to date, creates the tenant if it is new, and prints an admin key of it, once, with which
`/v1/keys` makes all others. The URL is that of a role that may create tables, roles and extensions; the two
secrets are those of managed stores (docs/deploy.md). Safe to run again: each run issues one more key.
"""

import asyncio
import os
import sys

from shared.aws.secrets import read_secret
from shared.limits.keys import NewKey, create_key
from shared.limits.tenants import create_tenant
from shared.postgres.database import Database
from shared.postgres.migrate import migrate
from shared.store_urls import database_url


async def prepare(owner_url: str, tenant_id: str) -> str:
    """Migrate, create the tenant, and return a new admin key of it in clear."""
    await migrate(owner_url)
    database = Database(owner_url, pool_size=1)
    await database.open()
    try:
        async with database.tenant(tenant_id) as connection:
            await create_tenant(connection, tenant_id, tenant_id)
            new = NewKey(tenant_id=tenant_id, name="first admin", role="admin")
            return (await create_key(connection, new)).plaintext
    finally:
        await database.close()


async def _owner_url() -> str | None:
    """What the environment says; `None` if it says nothing."""
    if url := os.environ.get("WEIR_OWNER_URL"):
        return url
    owner, login = os.environ.get("WEIR_OWNER_SECRET"), os.environ.get("WEIR_DATABASE_SECRET")
    if not owner or not login:
        return None
    return database_url(await read_secret(owner), like=database_url(await read_secret(login)))


async def _run(arguments: list[str]) -> int:
    owner_url = await _owner_url()
    if owner_url is None or len(arguments) != 1:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    sys.stdout.write(f"{await prepare(owner_url, arguments[0])}\n")
    return 0


def main() -> int:
    """Run with the arguments of the command line."""
    return asyncio.run(_run(sys.argv[1:]))


if __name__ == "__main__":
    raise SystemExit(main())
