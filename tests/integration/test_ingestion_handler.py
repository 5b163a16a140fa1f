"""The function as Lambda runs it: a batch of SQS messages in, partial failures out."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from local.components.storage import Deployment, QueueUrls
from shared.aws.objects import Objects
from shared.ledger.usage import UsageBatch
from shared.postgres.database import Database
from tests.contract.upstream import Upstream, running_upstream
from tests.integration.api_stack import bodies
from tests.integration.knowledge_world import World
from tests.integration.test_ingestion import event
from tests.integration.test_ingestion_captions import CATALOG as SEEING
from tests.integration.test_ingestion_captions import SCANS, says
from tests.loading import Context, fresh_handler

CATALOG = """
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
"""


@pytest.fixture
async def bucket(aws: None, deployment: Deployment) -> str:
    name = f"ingestion-{uuid.uuid4().hex}"
    await deployment.bucket(name)
    return name


@pytest.fixture
async def environment(
    bucket: str,
    deployment: Deployment,
    queues: QueueUrls,
    database_url: str,
    embedding_url: str,
    tmp_path: Path,
) -> dict[str, str]:
    await deployment.secret(bucket, database_url)
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(CATALOG.format(url=embedding_url))
    return {
        "WEIR_DATABASE_SECRET": f"secretsmanager:{bucket}",
        "WEIR_BUCKET": bucket,
        "WEIR_CATALOG": str(catalog),
        "WEIR_PROVIDER_SECRETS": "env:NO_SUCH_{PROVIDER}",
        "WEIR_INGESTION_QUEUE_URL": queues.ingestion,
        "WEIR_USAGE_QUEUE_URL": queues.usage,
    }


@pytest.fixture
def handler(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with fresh_handler("ingestion") as loaded:
        yield loaded


def batch(*messages: str) -> dict[str, Any]:
    records = [
        {"messageId": str(n), "body": body, "eventSource": "aws:sqs", "attributes": {}}
        for n, body in enumerate(messages)
    ]
    return {"Records": records}


async def test_a_batch_is_worked_through_and_poison_goes_back_alone(
    handler: ModuleType, bucket: str, database: Database, tenant_id: str, queues: QueueUrls
) -> None:
    world = World(database, tenant_id)
    store = await world.new_store()
    keys = []
    for n in range(3):
        file = await world.new_file(f"{n}.md", status="pending")
        await world.attach(store, file)
        keys.append(f"{tenant_id}/files/{file}/{n}.md")
        await Objects(bucket).put(keys[-1], f"# Kettle {n}\n\nIt holds {n} litres.".encode(), "text/markdown")
    poison = json.dumps({"Records": [{"eventSource": "aws:s3"}]})
    # Twice, as SQS may deliver them.
    messages = batch(*map(event, keys), poison, *map(event, keys))
    for _ in range(2):
        answer = await asyncio.to_thread(handler.handle, messages, Context())
        assert {"itemIdentifier": "3"} in answer["batchItemFailures"]
    assert answer == {"batchItemFailures": [{"itemIdentifier": "3"}]}
    rows = await world.rows("SELECT status, chunk_count FROM vector_store_files")
    assert [(row["status"], row["chunk_count"]) for row in rows] == [("completed", 1)] * 3
    assert (await world.statistics(store))[0] == 3
    records = [
        record
        for body in await bodies(queues.usage)
        for record in UsageBatch.model_validate_json(body).records
    ]
    assert {(record.tenant_id, record.endpoint) for record in records} == {(tenant_id, "ingestion")}
    # A record may be sent twice; it counts once.
    assert len({record.request_id for record in records}) == 3


def _add(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


@pytest.fixture
async def vision(environment: dict[str, str]) -> AsyncIterator[Upstream]:
    """A vision model in the catalog."""
    async with running_upstream() as upstream:
        upstream.replies = [says("A list of prices: a kettle is 12 euros.")]

        await asyncio.to_thread(_add, Path(environment["WEIR_CATALOG"]), SEEING.format(url=upstream.url))
        yield upstream


@pytest.fixture
def seeing_handler(
    vision: Upstream, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModuleType]:
    for name, value in {**environment, "WEIR_CAPTION_MODEL": "eyes"}.items():
        monkeypatch.setenv(name, value)
    with fresh_handler("ingestion") as loaded:
        yield loaded


async def test_by_a_setting_a_vision_model_reads_scanned_pages(
    seeing_handler: ModuleType,
    vision: Upstream,
    bucket: str,
    database: Database,
    tenant_id: str,
    queues: QueueUrls,
) -> None:
    world = World(database, tenant_id)
    store, file = await world.new_store(), await world.new_file("scan.pdf", status="pending")
    await world.attach(store, file)
    key = f"{tenant_id}/files/{file}/scan.pdf"
    await Objects(bucket).put(key, SCANS, "application/pdf")
    # Twice, as SQS may deliver it.
    for _ in range(2):
        answer = await asyncio.to_thread(seeing_handler.handle, batch(event(key)), Context())
        assert answer == {"batchItemFailures": []}
    # Both scanned pages look the same.
    assert len(vision.requests) == 1
    (state,) = await world.rows("SELECT status, unread_pages FROM vector_store_files")
    assert (state["status"], state["unread_pages"]) == ("completed", [])
    (found,) = await world.rows("SELECT text, page_first, page_last FROM chunks")
    assert (found["text"].count("12 euros"), found["page_first"], found["page_last"]) == (2, 1, 3)
    records = [
        record
        for body in await bodies(queues.usage)
        for record in UsageBatch.model_validate_json(body).records
    ]
    assert [r.cost_microdollars for r in records if r.model == "eyes"] == [980]
