"""The chat function in processes of its own, started by its own `run.sh`, and a client for each."""

import os
import signal
import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from local.process import ROOT, Child, Launcher, Program, free_port
from tests.contract.upstream import as_events, transcript

MODEL = "test-model"

# What the upstream says in a stream, and the same event by event.
CHUNKS = transcript("openai-text")
PIECES = [as_events([chunk], done=chunk is CHUNKS[-1]) for chunk in CHUNKS]

_CATALOG = """
[[providers]]
name = "loopback"
base_url = "{upstream}"
secret = "none"
[[providers.models]]
kind = "chat"
name = "test-model"
context_window = 8192
price = {{ input = "1", output = "2" }}
"""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What chat processes are told of; `cloud` are the variables by which boto3 finds the queue."""

    cloud: Mapping[str, str]
    database_url: str
    valkey_url: str
    valkey_cluster: bool = False
    # A busy machine must not pass for a slow Valkey.
    valkey_timeout_ms: int = 2000
    usage_queue_url: str
    usage_delivery: str = "inline"
    upstream_url: str

    def environment(self, directory: Path) -> dict[str, str]:
        """The variables of a chat process; the catalog is put into `directory`."""
        catalog = directory / "catalog.toml"
        catalog.write_text(_CATALOG.format(upstream=self.upstream_url))
        return {
            **self.cloud,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "LAMBDA_TASK_ROOT": str(ROOT / "functions"),
            "DATABASE_URL": self.database_url,
            "WEIR_DATABASE_SECRET": "env:DATABASE_URL",
            "WEIR_VALKEY_URL": self.valkey_url,
            "WEIR_VALKEY_CLUSTER": str(self.valkey_cluster),
            "WEIR_VALKEY_TIMEOUT_MS": str(self.valkey_timeout_ms),
            "WEIR_USAGE_QUEUE_URL": self.usage_queue_url,
            "WEIR_USAGE_DELIVERY": self.usage_delivery,
            "WEIR_CATALOG": str(catalog),
        }


@dataclass(frozen=True)
class ChatProcess:
    """A running process and its `/v1` URL."""

    child: Child
    url: str

    async def kill(self) -> None:
        """End it as a crash would."""
        os.kill(self.child.pid, signal.SIGKILL)
        await self.child.end


async def start_chat(
    launcher: Launcher, environment: Mapping[str, str], *, name: str = "chat"
) -> ChatProcess:
    """Start one process and wait until it is healthy."""
    port = free_port()
    child = await launcher.start(
        Program(
            name=name,
            argv=[str(ROOT / "functions" / "chat" / "run.sh")],
            environment={**environment, "AWS_LWA_PORT": str(port)},
        )
    )
    async with aiohttp.ClientSession() as session:
        await child.ready(lambda: _healthy(session, port))
    return ChatProcess(child, f"http://127.0.0.1:{port}/v1")


async def _healthy(session: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


class Client:
    """One key's requests to one process."""

    def __init__(self, session: aiohttp.ClientSession, process: ChatProcess, key: str) -> None:
        self._session = session
        self._url = f"{process.url}/chat/completions"
        self._headers = {"Authorization": f"Bearer {key}"}

    def post(
        self, question: str, *, stream: bool, **fields: Any
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Ask; streams include the usage."""
        body = {"model": MODEL, "messages": [{"role": "user", "content": question}], **fields}
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return self._session.post(self._url, json=body, headers=self._headers)

    async def stream(self, question: str, **fields: Any) -> bytes:
        """All events of a streamed answer."""
        async with self.post(question, stream=True, **fields) as answer:
            answer.raise_for_status()
            return await answer.read()

    async def rest(self, answer_id: str, begun: bytes) -> bytes:
        """The events of an answer that follow those which were read of it."""
        url, headers = f"{self._url}/{answer_id}/events", {"Last-Event-ID": str(last_id(begun))}
        async with self._session.get(url, headers=self._headers | headers) as answer:
            answer.raise_for_status()
            return await answer.read()


def whole_events(received: bytes) -> bytes:
    """What was received, without an event that was cut off."""
    head, separator, _ = received.rpartition(b"\n\n")
    return head + separator


def last_id(events: bytes) -> int:
    """The `id` of the last event; 0 if none has one."""
    ids = [line[4:] for line in events.split(b"\n") if line.startswith(b"id: ")]
    return int(ids[-1]) if ids else 0


async def read_some(answer: aiohttp.ClientResponse, *, events: int) -> bytes:
    """As much of a stream as comes until it has so many events."""
    received = b""
    while whole_events(received).count(b"data: ") < events:
        piece = await answer.content.readany()
        assert piece, f"the stream ended after {received!r}"
        received += piece
    return whole_events(received)
