"""Real components for the whole test session, each started when a test first asks for it.

They listen on free ports of 127.0.0.1 and keep their data in a temporary directory, so that tests run
beside a running stack. A test is apart from the others by its own tenant, bucket and queues.
"""

import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from local.components.cloud import Cloud, install_cloud, start_cloud
from local.components.models import start_embedding_model, start_language_model
from local.components.postgres import PostgresUrls, start_postgres
from local.components.storage import Deployment, QueueUrls
from local.components.valkey import start_valkey
from local.process import Launcher
from shared.aws.clients import client, session
from shared.aws.objects import Objects
from shared.postgres.database import Database
from shared.valkey.client import Valkey
from tests.contract.bench import bench, call

__all__ = ["bench", "call"]


@pytest.fixture(scope="session")
def data() -> Iterator[Path]:
    """A directory for the data of all components, gone after the session."""
    with tempfile.TemporaryDirectory(prefix="weir-test-", ignore_cleanup_errors=True) as name:
        # PostgreSQL runs as another user when the tests run as root.
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="session")
async def launcher(data: Path) -> AsyncIterator[Launcher]:
    async with Launcher(data / "logs") as running:
        yield running


@pytest.fixture(scope="session")
async def postgres_urls(data: Path, launcher: Launcher) -> PostgresUrls:
    return await start_postgres(data / "postgres", launcher, durable=False)


@pytest.fixture(scope="session")
def database_url(postgres_urls: PostgresUrls) -> str:
    """URL of the role that functions use: bound by row-level security, on a migrated schema."""
    return postgres_urls.login


@pytest.fixture(scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    running = Database(database_url, pool_size=4)
    await running.open()
    yield running
    await running.close()


@pytest.fixture
async def tenant_id(database: Database) -> str:
    """A new tenant, with a row in `tenants` and nothing else."""
    name = f"tenant_{uuid.uuid4().hex}"
    async with database.tenant(name) as connection:
        await connection.execute("INSERT INTO tenants (tenant_id, name) VALUES (%s, %s)", (name, "test"))
    return name


@pytest.fixture(scope="session")
async def valkey_url(data: Path, launcher: Launcher) -> str:
    return await start_valkey(data / "valkey", launcher)


@pytest.fixture(scope="session")
async def valkey_cluster_url(data: Path, launcher: Launcher) -> str:
    """A Valkey in cluster mode, which holds scripts and keys to a cluster's rules."""
    return await start_valkey(data / "valkey-cluster", launcher, cluster=True)


@pytest.fixture(scope="session", params=["plain", "cluster"])
async def valkey(
    request: pytest.FixtureRequest, valkey_url: str, valkey_cluster_url: str
) -> AsyncIterator[Valkey]:
    """A connected Valkey, once plain and once in cluster mode."""
    cluster = request.param == "cluster"
    # A busy machine must not pass for a slow Valkey.
    running = Valkey(valkey_cluster_url if cluster else valkey_url, cluster=cluster, timeout_ms=2000)
    await running.connect()
    yield running
    await running.close()


@pytest.fixture(scope="session")
async def local_cloud(data: Path, launcher: Launcher) -> Cloud:
    """S3, SQS and Secrets Manager. Take `aws` to have boto3 find them."""
    await install_cloud()
    return await start_cloud(data / "cloud", launcher)


@pytest.fixture(scope="session")
def deployment(local_cloud: Cloud) -> Deployment:
    """Makes buckets, queues and secrets as a deployment has them."""
    return Deployment(local_cloud)


@pytest.fixture(scope="module")
def aws(local_cloud: Cloud) -> Iterator[None]:
    """The environment by which `shared.aws` finds the local cloud, for the tests of one module."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in local_cloud.environment.items():
            patch.setenv(name, value)
        _forget_clients()
        yield
    _forget_clients()


def _forget_clients() -> None:
    # Clients are made once a process, with the endpoint of that moment.
    client.cache_clear()
    session.cache_clear()


@pytest.fixture
async def objects(aws: None, deployment: Deployment) -> Objects:
    """A new, empty bucket that notifies nobody."""
    bucket = f"weir-{uuid.uuid4().hex}"
    await deployment.bucket(bucket)
    return Objects(bucket)


@pytest.fixture
async def queues(aws: None, deployment: Deployment) -> QueueUrls:
    """New, empty queues, each with its dead-letter queue."""
    return await deployment.queues(f"test-{uuid.uuid4().hex}")


@pytest.fixture(scope="session")
async def llm_url(launcher: Launcher) -> str:
    """`/v1` base URL of SmolLM2-135M-Instruct, model `smollm2-135m-instruct`."""
    return await start_language_model(launcher)


@pytest.fixture(scope="session")
async def embedding_url(launcher: Launcher) -> str:
    """`/v1` base URL of the embedding model `use-multilingual-v3`, 512 dimensions."""
    return await start_embedding_model(launcher)
