"""An embedding endpoint that refuses some documents a few times: 'This is document number 20.'"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer

DIMENSIONS = 256
MODEL = "letters"

CATALOG = """
[[providers]]
name = "letters"
base_url = "{url}"
secret = "none"
[[providers.models]]
kind = "embedding"
name = "letters"
context_window = 512
dimensions = 256
price = {{ input = "1", output = "0" }}
"""

# One document in so many is refused, once or twice: a worker itself may ask twice before its job goes back.
REFUSED = 20
_MOST_REFUSALS = 2

_NUMBER = re.compile(r"number (\d+)")


@dataclass
class FailingEmbeddings:
    """What was asked of it: `asked` texts, and how often which document was `refused`."""

    url: str = ""
    asked: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    _waiting: dict[int, asyncio.Event] = field(default_factory=dict)

    async def more(self, count: int) -> None:
        """Wait until so many more texts have been asked for."""
        await self._waiting.setdefault(self.asked + count, asyncio.Event()).wait()

    async def answer(self, request: web.Request) -> web.Response:
        """OpenAI's `/embeddings`."""
        texts = (await request.json())["input"]
        for text in texts:
            self.asked += 1
            if reached := self._waiting.pop(self.asked, None):
                reached.set()
            number = int(_NUMBER.findall(text)[-1])
            if number % REFUSED == 0 and self.refused[number] <= number // REFUSED % _MOST_REFUSALS:
                self.refused[number] += 1
                return web.json_response({"error": {"message": "busy"}}, status=503)
        data = [
            {"object": "embedding", "index": place, "embedding": vector}
            for place, vector in enumerate(vectors(texts))
        ]
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        return web.json_response({"object": "list", "data": data, "model": MODEL, "usage": usage})


def vectors(texts: Sequence[str]) -> list[list[float]]:
    """How often each letter is in each text."""
    counts = [Counter(text) for text in texts]
    return [[float(count[chr(code)]) for code in range(DIMENSIONS)] for count in counts]


class Letters:
    """The same without an endpoint, for searches."""

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """The vectors that the endpoint gives when it does."""
        return vectors(texts)


@asynccontextmanager
async def failing_embeddings() -> AsyncIterator[FailingEmbeddings]:
    """It, on a free port."""
    running = FailingEmbeddings()
    app = web.Application()
    app.router.add_post("/v1/embeddings", running.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        running.url = str(server.make_url("/v1"))
        yield running
