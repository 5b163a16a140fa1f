"""Tenants, and the limits that all keys of one share."""

from psycopg import sql

from shared.limits.columns import LIMIT_COLUMNS, limit_values, limits_in
from shared.limits.limits import Limits
from shared.postgres.database import Connection

_SELECT = sql.SQL("SELECT {limits} FROM tenants FOR UPDATE").format(limits=LIMIT_COLUMNS)
_UPDATE = sql.SQL("UPDATE tenants SET ({limits}) = ROW (%s, %s, %s, %s, %s)").format(limits=LIMIT_COLUMNS)


async def create_tenant(connection: Connection, tenant_id: str, name: str) -> None:
    """Create a tenant, or do nothing when it exists. The transaction must be that tenant's."""
    await connection.execute(
        "INSERT INTO tenants (tenant_id, name) VALUES (%s, %s) ON CONFLICT DO NOTHING", (tenant_id, name)
    )


async def get_tenant_limits(connection: Connection) -> Limits:
    """The limits of the transaction's tenant, which stay as they are until it ends."""
    row = await (await connection.execute(_SELECT)).fetchone()
    assert row is not None  # noqa: S101 - no key without its tenant
    return limits_in(row)


async def set_tenant_limits(connection: Connection, limits: Limits) -> None:
    """Replace the limits of the transaction's tenant."""
    await connection.execute(_UPDATE, limit_values(limits))
