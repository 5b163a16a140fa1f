"""Where a deployment makes its own database, it makes the role that functions log in as too."""

from collections.abc import AsyncIterator
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from local.components.postgres import PostgresUrls
from migrations.schema import bring_up_to_date
from shared.postgres.migrate import MIGRATIONS


def login_as(owner_url: str, name: str, password: str) -> str:
    place = conninfo_to_dict(owner_url)
    return f"postgresql://{name}:{password}@{place['host']}:{place['port']}/{place['dbname']}"


@pytest.fixture
async def role(postgres_urls: PostgresUrls) -> AsyncIterator[str]:
    """The name of a role that is not there yet, and is not there afterwards."""
    name = f"login_{uuid4().hex[:12]}"
    yield name
    async with await psycopg.AsyncConnection.connect(postgres_urls.owner, autocommit=True) as owner:
        await owner.execute(f'DROP ROLE IF EXISTS "{name}"')


async def test_the_role_is_made_bound_and_lets_connections_go(postgres_urls: PostgresUrls, role: str) -> None:
    url = login_as(postgres_urls.owner, role, "first%2Fword")
    # It looks itself whether the role is bound to one tenant, and refuses any other.
    assert await bring_up_to_date(postgres_urls.owner, url, make_login_role=True) == []
    async with await psycopg.AsyncConnection.connect(url) as connection:
        row = await (await connection.execute("SHOW idle_session_timeout")).fetchone()
    assert row == ("1min",)


async def test_a_role_with_another_password_gets_that_of_the_secret(
    postgres_urls: PostgresUrls, role: str
) -> None:
    for password in ("old", "new"):
        url = login_as(postgres_urls.owner, role, password)
        await bring_up_to_date(postgres_urls.owner, url, make_login_role=True)
    async with await psycopg.AsyncConnection.connect(url) as connection:
        row = await (await connection.execute("SELECT current_user")).fetchone()
    assert row == (role,)


@pytest.fixture
async def managed(postgres_urls: PostgresUrls, role: str) -> AsyncIterator[str]:
    """URL of an empty database's owner, who may make roles and is no superuser, as in Aurora."""
    name = f"managed_{uuid4().hex[:12]}"
    async with await psycopg.AsyncConnection.connect(postgres_urls.owner, autocommit=True) as superuser:
        await superuser.execute(f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'word'")
        # Roles are those of the whole server: here another owner has made this one already.
        await superuser.execute(f"GRANT weir_app TO {name} WITH ADMIN OPTION")
        await superuser.execute(f"CREATE DATABASE {name} OWNER {name}")
    # RDS lets its owner make this extension; here only a superuser may.
    inside = {**conninfo_to_dict(postgres_urls.owner), "dbname": name}
    async with await psycopg.AsyncConnection.connect(autocommit=True, **inside) as superuser:
        await superuser.execute("CREATE EXTENSION vector")
    place = conninfo_to_dict(postgres_urls.owner)
    login = f"{name}:word"
    yield f"postgresql://{login}@{place['host']}:{place['port']}/{name}"
    async with await psycopg.AsyncConnection.connect(postgres_urls.owner, autocommit=True) as superuser:
        await superuser.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await superuser.execute(f"DROP ROLE IF EXISTS {role}")
        await superuser.execute(f"DROP ROLE {name}")


async def test_an_owner_that_is_no_superuser_makes_schema_and_role(managed: str, role: str) -> None:
    url = login_as(managed, role, "word")
    applied = await bring_up_to_date(managed, url, make_login_role=True)
    assert applied == sorted(path.stem for path in MIGRATIONS.glob("*.sql"))
    async with await psycopg.AsyncConnection.connect(url) as connection:
        cursor = await connection.execute("SELECT * FROM list_tenants()")
        assert await cursor.fetchall() == []
