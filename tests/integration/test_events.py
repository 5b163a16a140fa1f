"""Each example event, as the trigger sends it, is understood by its handler."""

import asyncio
import json
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import pytest

from local.components.cloud import Cloud
from local.components.storage import Deployment, QueueUrls
from local.process import ROOT, Launcher, Program, free_port
from shared.aws.clients import call, client
from shared.limits.keys import NewKey, create_key
from shared.postgres.database import Database
from tests.loading import Context, fresh_handler

EVENTS = ROOT / "events"

CATALOG = """
[[providers]]
name = "local"
base_url = "{url}"
secret = "none"
[[providers.models]]
kind = "chat"
name = "smollm2-135m-instruct"
context_window = 8192
price = {{ input = "1", output = "2" }}
"""


Load = Callable[[str], ModuleType]


def example(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / name).read_text())
    return event


@dataclass(frozen=True)
class Stack:
    """What the functions are told, and where they send to."""

    environment: dict[str, str]
    queues: QueueUrls


@pytest.fixture
async def stack(
    aws: None,
    deployment: Deployment,
    queues: QueueUrls,
    database_url: str,
    valkey_url: str,
    llm_url: str,
    tmp_path: Path,
) -> Stack:
    name = f"events-{uuid.uuid4().hex}"
    await deployment.bucket(name)
    await deployment.secret(name, database_url)
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(CATALOG.format(url=llm_url))
    return Stack(
        {
            "WEIR_DATABASE_SECRET": f"secretsmanager:{name}",
            "WEIR_VALKEY_URL": valkey_url,
            "WEIR_BUCKET": name,
            "WEIR_CATALOG": str(catalog),
            "WEIR_PROVIDER_SECRETS": "env:NO_SUCH_{PROVIDER}",
            "WEIR_INGESTION_QUEUE_URL": queues.ingestion,
            "WEIR_SCRAPING_QUEUE_URL": queues.scraping,
            "WEIR_BATCH_QUEUE_URL": queues.batch,
            "WEIR_USAGE_QUEUE_URL": queues.usage,
            "WEIR_TURNS_QUEUE_URL": queues.turns,
            # Nobody is connected there.
            "WEIR_WEBSOCKET_CALLBACK_URL": "http://127.0.0.1:1",
        },
        queues,
    )


@pytest.fixture
async def api_key(database: Database, tenant_id: str) -> str:
    async with database.tenant(tenant_id) as connection:
        return (await create_key(connection, NewKey(tenant_id=tenant_id, name="events"))).plaintext


@pytest.fixture
def load(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    for name, value in stack.environment.items():
        monkeypatch.setenv(name, value)
    with ExitStack() as handlers:
        yield lambda function: handlers.enter_context(fresh_handler(function))


async def invoke(handler: ModuleType, event: dict[str, Any]) -> Any:
    """One invocation, in a thread of its own, as the handler's loop must not meet this one."""
    return await asyncio.to_thread(handler.handle, event, Context())


def authorised(event: dict[str, Any], api_key: str) -> dict[str, Any]:
    authorization = f"Bearer {api_key}"
    event["headers"]["Authorization"] = authorization
    event["multiValueHeaders"]["Authorization"] = [authorization]
    return event


async def test_the_api_answers_a_rest_request(load: Load, api_key: str) -> None:
    answer = await invoke(load("api"), authorised(example("api-request.json"), api_key))
    assert (answer["statusCode"], json.loads(answer["body"])["data"]) == (200, [])


async def test_the_api_refuses_the_example_key(load: Load) -> None:
    answer = await invoke(load("api"), example("api-request.json"))
    assert answer["statusCode"] == 401


@pytest.mark.parametrize(
    ("function", "event"),
    [
        ("ingestion", "sqs-ingestion-s3.json"),
        ("ingestion", "sqs-ingestion-file.json"),
        ("scraping", "sqs-scraping.json"),
        ("accounting", "sqs-usage.json"),
        ("batch", "sqs-batch-advance.json"),
        ("batch", "sqs-batch-chunk.json"),
        ("turns", "sqs-turn.json"),
    ],
)
async def test_work_that_nobody_waits_for_any_more_is_done(load: Load, function: str, event: str) -> None:
    """The tenant of the examples has no such file, store or scrape: their message is settled, not retried."""
    assert await invoke(load(function), example(event)) == {"batchItemFailures": []}


@pytest.mark.parametrize("function", ["ingestion", "scraping", "accounting", "batch"])
async def test_a_message_that_makes_no_sense_goes_back_alone(load: Load, function: str) -> None:
    names = {
        "ingestion": "sqs-ingestion-file",
        "scraping": "sqs-scraping",
        "accounting": "sqs-usage",
        "batch": "sqs-batch-chunk",
    }
    event = example(f"{names[function]}.json")
    poison = {**event["Records"][0], "messageId": "poison", "body": '{"nonsense": true}'}
    event["Records"].append(poison)
    assert await invoke(load(function), event) == {"batchItemFailures": [{"itemIdentifier": "poison"}]}


async def test_a_client_connects_sends_a_turn_and_leaves(load: Load, stack: Stack, api_key: str) -> None:
    handler, connect = load("connections"), example("websocket-connect.json")
    assert (await invoke(handler, connect))["statusCode"] == 401
    connect["headers"]["Sec-WebSocket-Protocol"] = f"weir, weir.key.{api_key}"
    answer = await invoke(handler, connect)
    assert answer == {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "weir"}}
    for name in ("websocket-message.json", "websocket-disconnect.json"):
        assert await invoke(handler, example(name)) == {"statusCode": 200}
    queued = await call(client("sqs").receive_message, QueueUrl=stack.queues.turns, WaitTimeSeconds=1)
    assert json.loads(queued["Messages"][0]["Body"])["turn_id"] == "turn-1"


async def test_chat_streams_as_lambda_starts_it(
    stack: Stack, local_cloud: Cloud, api_key: str, launcher: Launcher
) -> None:
    """`run.sh` with the variables of Lambda and its web adapter, sent what the adapter makes of the event."""
    port = free_port()
    child = await launcher.start(
        Program(
            name=f"chat-{port}",
            argv=[str(ROOT / "functions" / "chat" / "run.sh")],
            environment={
                **local_cloud.environment,
                **stack.environment,
                "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
                "PYTHONPATH": str(ROOT),
                "LAMBDA_TASK_ROOT": str(ROOT / "functions"),
                "AWS_LWA_PORT": str(port),
            },
        )
    )
    try:
        await child.ready(lambda: _healthy(port))
        events = await _stream(authorised(example("chat-request.json"), api_key), port)
    finally:
        await child.stop(grace=8)
    assert events[-1] == "data: [DONE]"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-1]]
    assert "".join(choice["delta"].get("content") or "" for c in chunks for choice in c["choices"])
    assert chunks[-1]["usage"]["completion_tokens"] > 0
    queued = await call(client("sqs").receive_message, QueueUrl=stack.queues.usage, WaitTimeSeconds=1)
    assert len(queued["Messages"]) == 1


async def _healthy(port: int) -> bool:
    try:
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/healthz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def _stream(event: dict[str, Any], port: int) -> list[str]:
    headers = {**event["headers"], "x-amzn-request-context": json.dumps(event["requestContext"])}
    url = f"http://127.0.0.1:{port}{event['path']}"
    async with (
        aiohttp.ClientSession() as http,
        http.request(event["httpMethod"], url, headers=headers, data=event["body"]) as answer,
    ):
        assert answer.status == 200, await answer.text()
        assert answer.headers["content-type"].startswith("text/event-stream")
        text = await answer.text()
    return [line for line in text.splitlines() if line.startswith("data: ")]
