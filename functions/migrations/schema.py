"""Brings the schema up to date, and makes sure that the functions are bound by it."""

import psycopg

from migrations.login_role import ensure_login_role
from shared.postgres.migrate import migrate

# Of the role that functions connect as. Row-level security binds neither superusers nor who may bypass it.
_STANDING = """
    SELECT pg_has_role(current_user, 'weir_app', 'member') AS is_member,
           (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user) AS is_unbound
"""


class UnboundRoleError(Exception):
    """The functions would connect as a role that must not serve tenants; the message says what to do."""


async def bring_up_to_date(owner_url: str, login_url: str, *, make_login_role: bool = False) -> list[str]:
    """Migrate, forward only, and return the names of the migrations applied now.

    Args:
        owner_url: URL of a role that may create tables, roles and extensions.
        login_url: URL that the functions will use.
        make_login_role: Make the role of `login_url` unless it can log in already.

    Raises:
        UnboundRoleError: Row-level security would not keep the tenants of `login_url` apart.
        psycopg.Error: PostgreSQL cannot be reached, or refuses.
    """
    applied = await migrate(owner_url)
    if make_login_role:
        await ensure_login_role(owner_url, login_url)
    async with await psycopg.AsyncConnection.connect(login_url) as connection:
        row = await (await connection.execute(_STANDING)).fetchone()
    if row is None or not row[0] or row[1]:
        raise UnboundRoleError(
            "The role of DatabaseSecretArn must be a member of weir_app, no superuser, without BYPASSRLS: "
            "CREATE ROLE weir LOGIN PASSWORD '...' IN ROLE weir_app."
        )
    return applied
