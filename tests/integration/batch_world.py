"""What tests of batches work with: a provider that counts, and whoever works off the queue."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from shared.aws.clients import call, client
from shared.batch.advancing import handle
from shared.batch.means import Means
from shared.batch.messages import AdvanceBatch, Message, WorkChunk

CATALOG = """
[[providers]]
name = "loopback"
base_url = "{url}"
secret = "none"
[[providers.models]]
kind = "chat"
name = "test-model"
context_window = 8192
price = {{ input = "1", output = "2" }}
[[providers.models]]
kind = "embedding"
name = "test-embedding"
context_window = 512
dimensions = 3
price = {{ input = "1", output = "0" }}
"""

# What a provider says to a request, by its question; `None`: as usual.
Whim = Callable[[str], web.Response | None]


@dataclass
class Provider:
    """Repeats the question, and counts who asked what. `hold` keeps answers back until it is set."""

    url: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    whim: Whim = lambda question: None
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def chat(self, request: web.Request) -> web.Response:
        body = await request.json()
        question = body["messages"][-1]["content"]
        return await self._answered(question, _completion(body["model"], question))

    async def embed(self, request: web.Request) -> web.Response:
        body = await request.json()
        data = [{"object": "embedding", "index": 0, "embedding": [0.0, 0.6, 0.8]}]
        usage = {"prompt_tokens": 3, "total_tokens": 3}
        answer = {"object": "list", "model": body["model"], "data": data, "usage": usage}
        return await self._answered(str(body["input"]), answer)

    async def until_asked(self, count: int) -> None:
        """Wait until so many requests have come."""
        async with self.begun:
            await self.begun.wait_for(lambda: self.asked.total() >= count)

    async def _answered(self, question: str, answer: dict[str, Any]) -> web.Response:
        self.asked[question] += 1
        async with self.begun:
            self.begun.notify_all()
        await self.hold.wait()
        if (other := self.whim(question)) is not None:
            self.failed += 1
            return other
        return web.json_response(answer)


def _completion(model: str, question: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": f"You said: {question}"}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }


@asynccontextmanager
async def running_provider() -> AsyncIterator[Provider]:
    """A provider on a free port, which answers at once."""
    provider = Provider()
    provider.hold.set()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", provider.chat)
    app.router.add_post("/v1/embeddings", provider.embed)
    async with TestServer(app) as server:
        provider.url = str(server.make_url("/v1"))
        yield provider


def chat_line(custom_id: str, question: str, **fields: Any) -> dict[str, Any]:
    """A line of an input file."""
    body = {"model": "test-model", "messages": [{"role": "user", "content": question}], **fields}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}


def jsonl(*lines: Any) -> bytes:
    """A file of these lines; what is text already stays as it is."""
    return b"".join((line if isinstance(line, str) else json.dumps(line)).encode() + b"\n" for line in lines)


@dataclass
class QueueWorker:
    """Stands in for an event source mapping: has messages handled, and deletes those that are done.

    `twice`: every message is handled by two at once, as SQS may deliver it.
    """

    means: Means
    twice: bool = False
    has_time: Callable[[], bool] = lambda: True

    stopping: bool = False

    async def run(self) -> None:
        """Work until told to stop. A look at the queue that is cut off could take a message with it."""
        while not self.stopping:
            if not await self.once():
                await asyncio.sleep(0.02)

    async def once(self) -> int:
        """Handle what waits in the queue; how many messages that were."""
        url = self.means.queue.url
        answer = await call(
            client("sqs").receive_message, QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0
        )
        messages = answer.get("Messages", [])
        await asyncio.gather(*(self._handle(message) for message in messages))
        return len(messages)

    async def _handle(self, message: dict[str, Any]) -> None:
        parsed = parse(message["Body"])
        times = 2 if self.twice else 1
        await asyncio.gather(*(handle(self.means, parsed, self.has_time) for _ in range(times)))
        await call(
            client("sqs").delete_message,
            QueueUrl=self.means.queue.url,
            ReceiptHandle=message["ReceiptHandle"],
        )


def parse(body: str) -> Message:
    """A message of the batch queue."""
    fields = json.loads(body)
    return WorkChunk(**fields) if "chunk_number" in fields else AdvanceBatch(**fields)
