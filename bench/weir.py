"""Weir's chat function as in production: keys, limits, cache, one usage record a request, on real stores."""

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.load import Target
from local.components.cloud import install_cloud, start_cloud
from local.components.postgres import start_postgres
from local.components.storage import Deployment
from local.components.valkey import start_valkey
from local.process import Launcher, Program, free_port
from shared.limits.keys import IssuedKey, NewKey, create_key
from shared.limits.limits import Limits
from shared.limits.tenants import create_tenant
from shared.postgres.database import Database

_CATALOG = """
[[providers]]
name = "bench"
base_url = "{upstream}"
secret = "none"
[[providers.models]]
kind = "chat"
name = "bench"
context_window = 8192
price = {{ input = "1", output = "2" }}
"""

# As `functions/chat/run.sh` starts it.
_UVICORN = (
    "--loop=uvloop",
    "--http=httptools",
    "--no-access-log",
    "--no-server-header",
    "--log-level=warning",
)


TENANT = "bench"


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Stores that run, what functions are told of them, and a key of the tenant `TENANT`."""

    environment: Mapping[str, str]
    database_url: str
    key: str
    key_id: str

    @property
    def batch_queue(self) -> str:
        """The queue of batches."""
        return self.environment["WEIR_BATCH_QUEUE_URL"]


async def weir(upstream: str, directory: Path, launcher: Launcher) -> tuple[Program, Target]:
    """The chat function in front of `upstream`, with one worker; its stores run already."""
    return chat(await surround(upstream, directory, launcher))


def chat(surroundings: Surroundings) -> tuple[Program, Target]:
    """The chat function on a port of its own, as it is deployed, and where to ask it."""
    port = free_port()
    program = Program(
        name="weir",
        argv=[
            *(sys.executable, "-m", "uvicorn", "chat.handler:app", f"--port={port}"),
            *(*_UVICORN, "--app-dir=functions"),
        ],
        environment=surroundings.environment,
    )
    headers = {"Authorization": f"Bearer {surroundings.key}", "Content-Type": "application/json"}
    return program, Target(name="Weir", url=f"http://127.0.0.1:{port}/v1", headers=headers)


async def surround(upstream: str, directory: Path, launcher: Launcher) -> Surroundings:
    """Start the stores of one deployment, whose only provider is `upstream`."""
    await install_cloud()
    urls, valkey, cloud = await asyncio.gather(
        start_postgres(directory / "postgres", launcher, durable=False),
        start_valkey(directory / "valkey", launcher),
        start_cloud(directory / "cloud", launcher),
    )
    deployment = Deployment(cloud)
    queues = await deployment.queues("bench")
    await deployment.bucket("bench")
    await deployment.secret("weir/database", urls.login)
    catalog = directory / "catalog.toml"
    catalog.write_text(_CATALOG.format(upstream=upstream))
    key = await _key(urls.login)
    return Surroundings(
        environment={
            **cloud.environment,
            "PYTHONPATH": f"functions{os.pathsep}.",
            "WEIR_DATABASE_SECRET": "secretsmanager:weir/database",
            "WEIR_VALKEY_URL": valkey,
            # A busy machine must not pass for a slow Valkey.
            "WEIR_VALKEY_TIMEOUT_MS": "1000",
            "WEIR_USAGE_QUEUE_URL": queues.usage,
            "WEIR_TURNS_QUEUE_URL": queues.turns,
            "WEIR_BATCH_QUEUE_URL": queues.batch,
            "WEIR_BUCKET": "bench",
            "WEIR_USAGE_DELIVERY": "background",
            "WEIR_CATALOG": str(catalog),
        },
        database_url=urls.login,
        key=key.plaintext,
        key_id=key.record.key_id,
    )


async def _key(database_url: str) -> IssuedKey:
    """A key with limits, none of which is ever reached."""
    database = Database(database_url, pool_size=1)
    await database.open()
    try:
        async with database.tenant("bench") as connection:
            await create_tenant(connection, TENANT, TENANT)
            new = NewKey(
                tenant_id=TENANT,
                name="bench",
                limits=Limits(requests_per_minute=10_000_000, tokens_per_minute=1_000_000_000),
            )
            return await create_key(connection, new)
    finally:
        await database.close()
