"""A provider that speaks at a model's pace: `python -m bench.paced PORT`.

Each token is the moment at which it was said.
"""

import asyncio
import sys
import time

import orjson
from aiohttp import web

TOKENS = 200
_PAUSE_SECONDS = 0.03


async def answer(request: web.Request) -> web.StreamResponse:
    """One stream of `TOKENS` tokens; each holds the machine's monotonic clock."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for number in range(TOKENS):
        await asyncio.sleep(_PAUSE_SECONDS)
        await response.write(_event({"content": f"{number} {time.monotonic():.6f} "}, None))
    await response.write(_event({}, "stop") + b"data: [DONE]\n\n")
    return response


def _event(delta: dict[str, str], finish: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "chatcmpl-paced", "object": "chat.completion.chunk", "created": 1, "model": "bench"}
    return b"data: " + orjson.dumps({**chunk, "choices": [choice]}) + b"\n\n"


if __name__ == "__main__":
    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
