"""The API over real components, as fixtures: under uvicorn for the SDK, and the Lambda handler's environment.

A test module takes them with `pytest_plugins = ["tests.integration.api_fixtures"]`.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

import openai
import pytest
import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.services import open_services
from api.settings import ApiSettings
from local.components.storage import Deployment, QueueUrls
from local.process import free_port
from shared.aws.objects import Objects
from shared.limits.caller import Role
from shared.limits.keys import NewKey, create_key
from shared.limits.tenants import create_tenant
from shared.telemetry import logger
from tests.integration.api_stack import Api, Member, NewMember

EMBEDDING_MODEL = "use-multilingual-v3"

_CATALOG = """
[[providers]]
name = "local"
base_url = "{url}"
secret = "none"
[[providers.models]]
kind = "embedding"
name = "use-multilingual-v3"
context_window = 512
dimensions = 512
price = {{ input = "1", output = "0" }}
[[providers.models]]
kind = "embedding"
name = "odd-size"
context_window = 512
dimensions = 100
price = {{ input = "1", output = "0" }}

# Nothing listens there.
[[providers]]
name = "gone"
base_url = "http://127.0.0.1:1/v1"
secret = "none"
[[providers.models]]
kind = "rerank"
name = "gone-reranker"
context_window = 512
price = {{ input = "1", output = "0" }}
"""


@pytest.fixture(scope="module")
async def api_queues(aws: None, deployment: Deployment) -> QueueUrls:
    """Queues of these tests' own."""
    return await deployment.queues(f"api-{uuid.uuid4().hex}")


@pytest.fixture(scope="module")
async def api_environment(
    aws: None,
    deployment: Deployment,
    api_queues: QueueUrls,
    database_url: str,
    valkey_url: str,
    embedding_url: str,
) -> dict[str, str]:
    """The environment of the API function, with a bucket and queues of its own."""
    name = f"api-{uuid.uuid4().hex}"
    await deployment.bucket(name)
    await deployment.secret(name, database_url)
    await Objects(name).put("catalog.toml", _CATALOG.format(url=embedding_url).encode(), "application/toml")
    return {
        "WEIR_DATABASE_SECRET": f"secretsmanager:{name}",
        "WEIR_VALKEY_URL": valkey_url,
        # A busy machine must not pass for a slow Valkey.
        "WEIR_VALKEY_TIMEOUT_MS": "2000",
        "WEIR_BUCKET": name,
        "WEIR_INGESTION_QUEUE_URL": api_queues.ingestion,
        "WEIR_SCRAPING_QUEUE_URL": api_queues.scraping,
        "WEIR_BATCH_QUEUE_URL": api_queues.batch,
        "WEIR_USAGE_QUEUE_URL": api_queues.usage,
        "WEIR_CATALOG": f"s3://{name}/catalog.toml",
        "WEIR_PROVIDER_SECRETS": "env:NO_SUCH_{PROVIDER}",
        "WEIR_EMBEDDING_MODEL": EMBEDDING_MODEL,
        "WEIR_JSON_LIMIT_BYTES": "20000",
        "WEIR_UPLOAD_LIMIT_BYTES": "100000",
        "WEIR_DOWNLOAD_LIMIT_BYTES": "50000",
        "WEIR_FILE_LIMIT_BYTES": "1000000",
        "WEIR_ATTACH_LIMIT": "5",
        "WEIR_TEXT_PAGE_CHARS": "1000",
    }


@pytest.fixture(scope="module")
async def api(api_environment: dict[str, str], api_queues: QueueUrls) -> AsyncIterator[Api]:
    """The application under uvicorn, on this event loop."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in api_environment.items():
            patch.setenv(name, value)
        settings = ApiSettings()
    log = logger("api")
    async with (
        open_services(settings, lambda: datetime.now(UTC), log) as services,
        _serving(create_app(services, log)) as url,
    ):
        yield Api(url, services, api_queues)


@asynccontextmanager
async def _serving(app: FastAPI) -> AsyncIterator[str]:
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, ws="none", lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done(), task.exception()
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await task


@pytest.fixture
async def new_member(api: Api) -> AsyncIterator[NewMember]:
    """Makes a key, of a new tenant unless one is named."""
    async with AsyncExitStack() as stack:

        async def make(role: Role = "member", tenant_id: str | None = None) -> Member:
            tenant_id = tenant_id or f"tenant_{uuid.uuid4().hex}"
            async with api.services.database.tenant(tenant_id) as connection:
                await create_tenant(connection, tenant_id, "test")
                issued = await create_key(connection, NewKey(tenant_id=tenant_id, name="test", role=role))
            sdk = openai.AsyncOpenAI(base_url=f"{api.url}/v1", api_key=issued.plaintext, max_retries=0)
            await stack.enter_async_context(sdk)
            return Member(tenant_id, issued.record.key_id, issued.plaintext, sdk)

        yield make


@pytest.fixture
async def member(new_member: NewMember) -> Member:
    """A member of a new tenant."""
    return await new_member()


@pytest.fixture
async def sdk(member: Member) -> openai.AsyncOpenAI:
    """The SDK of that member."""
    return member.sdk
