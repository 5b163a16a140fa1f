"""The first steps of a deployment: schema, tenant and admin key, on a real PostgreSQL."""

import os
import subprocess
import sys
import uuid

import pytest

from infra.prepare import prepare
from local.components.postgres import PostgresUrls
from local.process import ROOT
from shared.limits.caller import find_caller, key_hash
from shared.postgres.database import Database


async def test_the_printed_key_is_an_admins(postgres_urls: PostgresUrls, database: Database) -> None:
    tenant_id = f"tenant_{uuid.uuid4().hex}"
    keys = [await prepare(postgres_urls.owner, tenant_id) for _ in range(2)]
    assert len(set(keys)) == 2
    for key in keys:
        async with database.anonymous() as connection:
            caller = await find_caller(connection, key_hash(key))
        assert caller is not None
        assert (caller.tenant_id, caller.role) == (tenant_id, "admin")


@pytest.mark.parametrize("arguments", [[], ["acme"]])
def test_without_its_arguments_it_says_what_it_wants(arguments: list[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "WEIR_OWNER_URL"}
    process = subprocess.run(
        [sys.executable, "-m", "infra.prepare", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 2
    assert "WEIR_OWNER_URL=postgresql://" in process.stderr
