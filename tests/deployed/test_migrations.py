"""The deployment has brought the schema up to date, and refuses a role that would see every tenant."""

import psycopg
import pytest

from migrations.schema import UnboundRoleError, bring_up_to_date
from shared.postgres.migrate import MIGRATIONS
from tests.deployed.conftest import DatabaseUrls
from tests.deployed.stack import Stack

# The first test waits for the build and the deployment.
pytestmark = pytest.mark.timeout(600)


async def test_a_deployment_has_made_the_schema(stack: Stack, databases: DatabaseUrls) -> None:
    async with await psycopg.AsyncConnection.connect(databases.owner) as owner:
        cursor = await owner.execute("SELECT name FROM schema_migrations ORDER BY name")
        applied = [name for (name,) in await cursor.fetchall()]
    assert applied == sorted(path.stem for path in MIGRATIONS.glob("*.sql"))


async def test_the_next_deployment_applies_nothing_twice(stack: Stack, databases: DatabaseUrls) -> None:
    assert await bring_up_to_date(databases.owner, databases.login) == []


async def test_a_role_that_is_not_bound_to_its_tenant_is_refused(
    stack: Stack, databases: DatabaseUrls
) -> None:
    with pytest.raises(UnboundRoleError, match="must be a member of weir_app"):
        await bring_up_to_date(databases.owner, databases.owner)
