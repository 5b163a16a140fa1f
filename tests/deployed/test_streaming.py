"""The chat function streams: every event reaches the Lambda Runtime API before the next one is made.

The emulator buffers, so what was built is started here as Lambda starts it, by its `run.sh` and with the
variables that the deployment has set, behind stand-ins for the web adapter and for the Runtime API.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.deployed.runtime_api import RuntimeApi, running_runtime
from tests.deployed.stack import Stack
from tests.deployed.web_adapter import WebApplication, start

# The first test waits for the build and the deployment.
pytestmark = pytest.mark.timeout(600)

WORDS = ["Every", " word", " on", " its", " own"]

CATALOG = """
[[providers]]
name = "hesitant"
base_url = "{url}"
secret = "none"

[[providers.models]]
kind = "chat"
name = "hesitant"
context_window = 4096
price = {{ input = "0", output = "0" }}
"""


class Hesitant:
    """A model that says its next word when the test has seen the last one, and not before."""

    def __init__(self) -> None:
        self.may_go_on = asyncio.Semaphore(0)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for word in WORDS:
            await self.may_go_on.acquire()
            await response.write(_event({"content": word}))
        await self.may_go_on.acquire()
        await response.write(_event({}, finish_reason="stop") + b"data: [DONE]\n\n")
        return response


def _event(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    chunk = {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "hesitant",
        "choices": [choice],
    }
    return f"data: {json.dumps(chunk)}\n\n".encode()


@pytest.fixture
async def model() -> AsyncIterator[tuple[Hesitant, str]]:
    hesitant = Hesitant()
    application = web.Application()
    application.router.add_post("/v1/chat/completions", hesitant.answer)
    async with TestServer(application, host="127.0.0.1") as server:
        yield hesitant, str(server.make_url("/v1"))


@pytest.fixture
def variables(stack: Stack, build: Path, model: tuple[Hesitant, str], tmp_path: Path) -> dict[str, str]:
    """The environment of the built function, with a model that hesitates."""
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(CATALOG.format(url=model[1]))
    return {
        **stack.configuration("ChatFunction")["Environment"]["Variables"],
        **stack.cloud.environment,
        "WEIR_CATALOG": str(catalog),
        "LAMBDA_TASK_ROOT": str(build / "ChatFunction"),
        "PYTHONPATH": str(build / "SharedLayer" / "python"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


@asynccontextmanager
async def started(stack: Stack, variables: dict[str, str]) -> AsyncIterator[WebApplication]:
    """The built function, started by its own script."""
    script = Path(variables["LAMBDA_TASK_ROOT"]) / stack.configuration("ChatFunction")["Handler"]
    running = await asyncio.to_thread(start, script, variables)
    yield running
    await asyncio.to_thread(running.stop)


@pytest.fixture
async def application(stack: Stack, variables: dict[str, str]) -> AsyncIterator[WebApplication]:
    async with started(stack, variables) as running:
        yield running


@pytest.fixture
async def runtime(application: WebApplication) -> AsyncIterator[RuntimeApi]:
    """The Runtime API, with the function behind it."""
    async with running_runtime(application) as api:
        yield api


def request(admin_key: str, **fields: Any) -> dict[str, Any]:
    """The event of a chat request."""
    body = {"model": "hesitant", "messages": [{"role": "user", "content": "Say something."}], **fields}
    return {
        "httpMethod": "POST",
        "path": "/v1/chat/completions",
        "multiValueHeaders": {
            "Authorization": [f"Bearer {admin_key}"],
            "Content-Type": ["application/json"],
        },
        "multiValueQueryStringParameters": None,
        "requestContext": {"requestId": "1", "stage": "prod"},
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }


async def test_each_event_arrives_before_the_next_is_made(
    runtime: RuntimeApi, model: tuple[Hesitant, str], admin_key: str
) -> None:
    hesitant, _ = model
    invocation = runtime.invoke(request(admin_key, stream=True))
    hesitant.may_go_on.release()
    prelude = await invocation.prelude()
    assert prelude["statusCode"] == 200
    assert prelude["multiValueHeaders"]["content-type"] == ["text/event-stream; charset=utf-8"]
    for word in WORDS:
        # The model says no other word until it is let: what would be kept back would never come.
        assert await invocation.until(json.dumps(word).encode())
        hesitant.may_go_on.release()
    assert await invocation.until(b"data: [DONE]")
    await invocation.ended()


async def test_an_error_before_the_first_byte_has_its_status(runtime: RuntimeApi) -> None:
    invocation = runtime.invoke(request("sk-weir-wrong", stream=True))
    prelude = await invocation.prelude()
    assert prelude["statusCode"] == 401
    assert await invocation.until(b'"error"')
    await invocation.ended()


async def test_a_snapshot_holds_no_connection_and_answers_once_it_has_come_back(
    stack: Stack, variables: dict[str, str], admin_key: str, model: tuple[Hesitant, str]
) -> None:
    hesitant, _ = model
    snapped = {**variables, "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
    async with started(stack, snapped) as application:
        assert connections(application) == []
        path = variables["AWS_LWA_SNAPSTART_AFTER_RESTORE_PATH"]
        assert await asyncio.to_thread(application.restore, path) == HTTPStatus.NO_CONTENT
        assert connections(application)
        async with running_runtime(application) as runtime:
            invocation = runtime.invoke(request(admin_key, stream=True))
            for _ in range(len(WORDS) + 1):
                hesitant.may_go_on.release()
            assert await invocation.until(b"data: [DONE]")
            await invocation.ended()


def connections(application: WebApplication) -> list[tuple[str, int]]:
    """Where a function's process is connected to; the adapter, which connects to it, is not among them."""
    held = psutil.Process(application.process.pid).net_connections("tcp")
    outgoing = [one for one in held if one.status == psutil.CONN_ESTABLISHED]
    return [(one.raddr.ip, one.raddr.port) for one in outgoing if one.laddr.port != application.port]
