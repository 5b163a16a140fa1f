"""The gateway: chat passes through untouched, everything else is one Lambda event at a time."""

import json
import threading
from collections.abc import MutableMapping
from typing import Any

import pytest

from local.lambda_function import LambdaContext, LambdaThread
from local.servers.gateway import BODY_LIMIT, Gateway

Message = MutableMapping[str, Any]


class ChatStandIn:
    """Says that it was reached."""

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        await send({"type": "chat", "path": scope.get("path")})


def _handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    seen = {
        "path": event["path"],
        "bytes": len(event["body"] or ""),
        "thread": threading.get_ident(),
        "remaining": context.get_remaining_time_in_millis(),
    }
    return {"statusCode": 201, "headers": {"Content-Type": "application/json"}, "body": json.dumps(seen)}


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    monkeypatch.setattr("local.lambda_function.load", lambda name: _handle)
    return Gateway(ChatStandIn(), LambdaThread("api"))


async def _call(gateway: Gateway, path: str, *parts: bytes) -> list[Message]:
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": []}
    await gateway(scope, receive, send)
    if path.startswith("/v1/files"):
        assert not messages, "the body is read to its end, whatever the answer"
    return sent


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings", "/v1/models/a/b", "/healthz"])
async def test_chat_paths_go_to_the_chat_application(gateway: Gateway, path: str) -> None:
    assert await _call(gateway, path) == [{"type": "chat", "path": path}]


async def test_the_lifespan_is_that_of_the_chat_application(gateway: Gateway) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await gateway({"type": "lifespan"}, None, send)  # type: ignore[arg-type]
    assert sent == [{"type": "chat", "path": None}]


async def test_other_paths_become_events_in_one_thread(gateway: Gateway) -> None:
    answers = [await _call(gateway, "/v1/files", b"ab", b"c") for _ in range(3)]
    bodies = [json.loads(body["body"]) for _, body in answers]
    assert {start["status"] for start, _ in answers} == {201}
    assert {(body["path"], body["bytes"]) for body in bodies} == {("/v1/files", 3)}
    assert len({body["thread"] for body in bodies} - {threading.get_ident()}) == 1
    assert bodies[0]["remaining"] > 0


async def test_a_body_over_the_limit_is_413_in_openais_shape(gateway: Gateway) -> None:
    start, body = await _call(gateway, "/v1/files", b"x" * BODY_LIMIT, b"y")
    assert start["status"] == 413
    assert json.loads(body["body"])["error"]["code"] == "request_too_large"
    start, _ = await _call(gateway, "/v1/files", b"x" * BODY_LIMIT)
    assert start["status"] == 201
