"""The template, built and deployed to an emulator of AWS that enforces IAM, over real data stores and models.

Everything listens on 127.0.0.1 alone, keeps its data in a temporary directory, and ends with the session.
"""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from infra.prepare import prepare
from local.catalog import local_catalog
from local.components.cloud import Cloud, install_cloud, start_cloud
from local.components.models import EMBEDDING_MODEL, start_embedding_model, start_language_model
from local.components.postgres import start_postgres
from local.components.valkey import start_valkey
from local.process import Launcher
from tests.deployed.adapter_layer import adapter_account, publish_adapter
from tests.deployed.certificate import make_certificate
from tests.deployed.emulator import adapt
from tests.deployed.sam import sam_build, sam_deploy
from tests.deployed.stack import Stack, aws, find_stack
from tests.integration.scraping_site import Site, article, running_site

TENANT = "acme"

# Lines of what the emulator and the functions have printed that a failure shows.
_LAST_LINES = 60

_MEMORY, _ENOUGH_BYTES = Path("/dev/shm"), 8 * 2**30

_LOGS = pytest.StashKey[Path]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the functions said, beside a failure."""
    report = yield
    log = item.config.stash.get(_LOGS, Path("/nonexistent")) / "cloud.log"
    if report.failed and log.exists():
        lines = [line for line in log.read_text(errors="replace").splitlines() if '"_aws"' not in line]
        report.sections.append(("functions", "\n".join(lines[-_LAST_LINES:])))
    return report


@pytest.fixture(scope="session")
def data() -> Iterator[Path]:
    """A directory for the data of all components, gone after the session.

    In memory where there is plenty: the emulator unpacks the layers for every function, 50,000 files in all.
    """
    roomy = _MEMORY.exists() and shutil.disk_usage(_MEMORY).free > _ENOUGH_BYTES
    with tempfile.TemporaryDirectory(
        prefix="weir-deployed-", dir=_MEMORY if roomy else None, ignore_cleanup_errors=True
    ) as name:
        # PostgreSQL runs as another user when the tests run as root.
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="session")
async def launcher(data: Path, pytestconfig: pytest.Config) -> AsyncIterator[Launcher]:
    pytestconfig.stash[_LOGS] = data / "logs"
    async with Launcher(data / "logs", grace=1.0) as running:
        yield running


@pytest.fixture(scope="session")
async def cloud(data: Path, launcher: Launcher) -> Cloud:
    """The AWS services, with IAM enforced, over HTTPS."""
    await install_cloud()
    started = await start_cloud(data / "cloud", launcher, strict=make_certificate(data))
    await asyncio.to_thread(publish_adapter, aws(started, "lambda", adapter_account()))
    return started


@dataclass(frozen=True)
class DatabaseUrls:
    """A database that has no schema before the deployment."""

    owner: str
    login: str


@pytest.fixture(scope="session")
async def databases(data: Path, launcher: Launcher) -> DatabaseUrls:
    server = await start_postgres(data / "postgres", launcher, durable=False)
    async with await psycopg.AsyncConnection.connect(server.owner, autocommit=True) as owner:
        await owner.execute("CREATE DATABASE deployed")
    owner_url, login_url = (url.rpartition("/")[0] for url in (server.owner, server.login))
    return DatabaseUrls(f"{owner_url}/deployed", f"{login_url}/deployed")


@pytest.fixture(scope="session")
async def site() -> AsyncIterator[Site]:
    """A web site at a private address."""
    async with running_site(
        {"/": article("Harbours", "/lamps"), "/lamps": article("Lamps of the harbour")}
    ) as served:
        yield served


@pytest.fixture(scope="session")
async def build(data: Path) -> Path:
    """What `sam build` has made, which is for Linux."""
    if sys.platform != "linux":
        pytest.skip("functions and layers are built for Linux, and run on it")
    await sam_build(data / "build")
    return data / "build"


@pytest.fixture(scope="session")
async def parameters(
    data: Path, launcher: Launcher, cloud: Cloud, databases: DatabaseUrls, site: Site
) -> dict[str, str]:
    """What a user would answer to `sam deploy --guided`, with what it names made."""
    catalog = local_catalog(await start_language_model(launcher), await start_embedding_model(launcher), "")
    s3, secrets = aws(cloud, "s3"), aws(cloud, "secretsmanager")
    s3.create_bucket(Bucket="settings")
    s3.put_object(Bucket="settings", Key="catalog.toml", Body=catalog.encode())
    return {
        "DatabaseSecretArn": secrets.create_secret(Name="weir/database", SecretString=databases.login)["ARN"],
        "OwnerSecretArn": secrets.create_secret(Name="weir/owner", SecretString=databases.owner)["ARN"],
        "ValkeyUrl": await start_valkey(data / "valkey", launcher),
        "CatalogLocation": "s3://settings/catalog.toml",
        "EmbeddingModel": EMBEDDING_MODEL,
        "CrawlerPermittedHosts": site.host,
        "CleanupSchedule": "'rate(1 minute)'",
    }


@pytest.fixture(scope="session")
async def stack(cloud: Cloud, build: Path, parameters: dict[str, str]) -> Stack:
    """The deployed template."""
    await sam_deploy(cloud, build, "weir", parameters)
    found = await asyncio.to_thread(find_stack, cloud, "weir")
    await asyncio.to_thread(adapt, found)
    return found


@pytest.fixture(scope="session")
async def admin_key(stack: Stack, databases: DatabaseUrls) -> str:
    """The first key, by the command that the documentation names."""
    return await prepare(databases.owner, TENANT)
