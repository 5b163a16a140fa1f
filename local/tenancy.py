"""The tenant of one machine, and its two keys."""

from pathlib import Path

from local.data_directory import Access, read_access
from shared.limits.caller import Role, find_caller, key_hash
from shared.limits.keys import NewKey, create_key
from shared.limits.tenants import create_tenant
from shared.postgres.database import Database

TENANT = "local"


async def ensure_access(database_url: str, access_file: Path, base_url: str) -> Access:
    """The keys that `access_file` names, if the database knows them; new ones otherwise."""
    known = read_access(access_file)
    database = Database(database_url, pool_size=2)
    await database.open()
    try:
        if known is not None and await _known(database, known.api_key, known.admin_key):
            return Access(base_url=base_url, api_key=known.api_key, admin_key=known.admin_key)
        return Access(
            base_url=base_url,
            api_key=await _issue(database, "local", "member"),
            admin_key=await _issue(database, "local admin", "admin"),
        )
    finally:
        await database.close()


async def _known(database: Database, *keys: str) -> bool:
    async with database.anonymous() as connection:
        callers = [await find_caller(connection, key_hash(key)) for key in keys]
    return all(caller is not None and caller.tenant_id == TENANT for caller in callers)


async def _issue(database: Database, name: str, role: Role) -> str:
    async with database.tenant(TENANT) as connection:
        await create_tenant(connection, TENANT, "This machine")
        issued = await create_key(connection, NewKey(tenant_id=TENANT, name=name, role=role))
    return issued.plaintext
