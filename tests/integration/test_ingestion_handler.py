"""The function as Lambda runs it: a batch of SQS messages in, partial failures out."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from local.components.storage import Deployment, QueueUrls
from shared.aws.objects import Objects
from shared.ledger.usage import UsageBatch
from shared.postgres.database import Database
from tests.integration.api_stack import bodies
from tests.integration.knowledge_world import World
from tests.integration.test_ingestion import event
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
