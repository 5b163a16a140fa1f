"""Prepares a PostgreSQL for a deployment, from a machine that reaches it:

    WEIR_OWNER_URL=postgresql://... python -m infra.prepare TENANT

Brings the schema up to date, creates the tenant if it is new, and prints an admin key of it, once, with which
`/v1/keys` makes all others. The URL is that of a role that may create tables, roles and extensions. Safe to
run again: each run issues one more key.
"""

import asyncio
import os
import sys

from shared.limits.keys import NewKey, create_key, create_tenant
from shared.postgres.database import Database
from shared.postgres.migrate import migrate


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


def main() -> int:
    """Run with the arguments of the command line."""
    owner_url = os.environ.get("WEIR_OWNER_URL")
    if owner_url is None or len(sys.argv) != 2:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    sys.stdout.write(f"{asyncio.run(prepare(owner_url, sys.argv[1]))}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
