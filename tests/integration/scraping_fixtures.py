"""The scraping function as Lambda runs it, as fixtures.

`site` and `other_site`, which the function may visit; `handler`, its module; `crawler`, which takes messages
from the queue to it; `store_id`, a vector store. A test module takes them with
`pytest_plugins = ["tests.integration.scraping_fixtures"]`.
"""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

from local.components.storage import QueueUrls
from shared.aws.objects import Objects
from shared.knowledge.store_models import NewVectorStore, StoreSettings
from shared.knowledge.stores import create_store
from shared.postgres.database import Database
from tests.integration.scraping_crawler import Crawler, Handle
from tests.integration.scraping_site import Site, forget_hosts, running_site
from tests.loading import fresh_handler


@pytest.fixture
async def site(valkey_url: str) -> AsyncIterator[Site]:
    async with running_site({}) as running:
        await forget_hosts(valkey_url, running)
        yield running


@pytest.fixture
async def other_site(valkey_url: str) -> AsyncIterator[Site]:
    async with running_site({}) as running:
        await forget_hosts(valkey_url, running)
        yield running


@pytest.fixture
def catalog() -> str:
    """The models that may be asked, as TOML; none unless a module says so."""
    return ""


@pytest.fixture
def handler(
    catalog: str,
    tmp_path: Path,
    site: Site,
    other_site: Site,
    database_url: str,
    valkey_url: str,
    objects: Objects,
    queues: QueueUrls,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[ModuleType]:
    """The handler's module, imported anew, permitted to visit the two sites."""
    models = tmp_path / "catalog.toml"
    models.write_text(catalog)
    for name, value in {
        "WEIR_DATABASE_SECRET": "env:SCRAPING_DATABASE_URL",
        "SCRAPING_DATABASE_URL": database_url,
        "WEIR_VALKEY_URL": valkey_url,
        "WEIR_VALKEY_TIMEOUT_MS": "1000",
        "WEIR_BUCKET": objects.bucket,
        "WEIR_SCRAPING_QUEUE_URL": queues.scraping,
        "WEIR_USAGE_QUEUE_URL": queues.usage,
        "WEIR_CATALOG": str(models),
        "WEIR_PROVIDER_SECRETS": "env:NO_SUCH_{PROVIDER}",
        "WEIR_CRAWLER_PERMITTED_HOSTS": f"{site.host}, {other_site.host}",
        "WEIR_CRAWLER_USER_AGENT": "WeirBot/1.0 (+https://weir.example/bot)",
        "WEIR_CRAWLER_DELAY_SECONDS": "0",
    }.items():
        monkeypatch.setenv(name, value)
    with fresh_handler("scraping") as module:
        yield module


@pytest.fixture
def handle(handler: ModuleType) -> Handle:
    function: Handle = handler.handle
    return function


@pytest.fixture
def crawler(handle: Handle, database: Database, tenant_id: str, queues: QueueUrls) -> Crawler:
    return Crawler(handle, database, tenant_id, queues.scraping)


@pytest.fixture
async def store_id(database: Database, tenant_id: str) -> str:
    new = NewVectorStore(
        tenant_id=tenant_id,
        settings=StoreSettings(metadata={}),
        embedding_model="use-multilingual-v3",
        dimensions=512,
    )
    async with database.tenant(tenant_id) as connection:
        return (await create_store(connection, new, datetime.now(UTC))).vector_store_id
