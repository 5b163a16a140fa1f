"""The API through its Lambda handler, with REST API proxy events."""

import base64
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from shared.limits.keys import NewKey, create_key
from shared.postgres.database import Database
from tests.loading import Context, fresh_handler

pytest_plugins = ["tests.integration.api_fixtures"]


@dataclass(frozen=True)
class Answer:
    """What API Gateway makes of a handler's answer."""

    status: int
    headers: dict[str, str]
    content: bytes

    def json(self) -> Any:
        return json.loads(self.content)


Send = Callable[..., Answer]


@pytest.fixture
async def api_key(database: Database, tenant_id: str) -> str:
    async with database.tenant(tenant_id) as connection:
        return (await create_key(connection, NewKey(tenant_id=tenant_id, name="lambda"))).plaintext


@pytest.fixture
def send(api_environment: dict[str, str], api_key: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Send]:
    for name, value in api_environment.items():
        monkeypatch.setenv(name, value)
    # One thread, as in Lambda: invocations follow each other on one event loop.
    with ThreadPoolExecutor(1) as lambda_thread, fresh_handler("api") as handler:

        def invoke(method: str, path: str, **sent: Any) -> Answer:
            sent.setdefault("headers", {}).setdefault("authorization", f"Bearer {api_key}")
            event = proxy_event(httpx2.Request(method, f"https://api.example{path}", **sent))
            answer = lambda_thread.submit(handler.handle, event, Context()).result()
            body = answer["body"]
            content = base64.b64decode(body) if answer["isBase64Encoded"] else body.encode()
            return Answer(answer["statusCode"], answer["headers"], content)

        yield invoke


def proxy_event(request: httpx2.Request) -> dict[str, Any]:
    """A proxy event, version 1.0, of an API whose binary media types are `*/*`."""
    multi_headers: dict[str, list[str]] = {}
    for name, value in request.headers.multi_items():
        multi_headers.setdefault(name, []).append(value)
    multi_query: dict[str, list[str]] = {}
    for name, value in request.url.params.multi_items():
        multi_query.setdefault(name, []).append(value)
    body = request.read()
    return {
        "resource": "/{proxy+}",
        "path": request.url.path,
        "httpMethod": request.method,
        "headers": {name: values[-1] for name, values in multi_headers.items()},
        "multiValueHeaders": multi_headers,
        "queryStringParameters": {name: values[-1] for name, values in multi_query.items()} or None,
        "multiValueQueryStringParameters": multi_query or None,
        "pathParameters": {"proxy": request.url.path.lstrip("/")},
        "stageVariables": None,
        "requestContext": {
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "stage": "v1",
            "httpMethod": request.method,
            "path": request.url.path,
            "identity": {"sourceIp": "203.0.113.7"},
        },
        "body": base64.b64encode(body).decode() if body else None,
        "isBase64Encoded": bool(body),
    }


def test_invocations_share_one_loop_and_its_connections(send: Send) -> None:
    for round_ in range(3):
        made = send("POST", "/v1/vector_stores", json={"name": f"round {round_}"})
        assert made.status == 200, made.content
    listed = send("GET", "/v1/vector_stores?limit=2")
    assert [store["name"] for store in listed.json()["data"]] == ["round 2", "round 1"]
    assert listed.json()["has_more"] is True


def test_a_binary_file_passes_both_ways(send: Send) -> None:
    data = bytes(range(256)) * 10
    made = send("POST", "/v1/files", data={"purpose": "assistants"}, files={"file": ("a.bin", data)})
    assert made.status == 200, made.content
    content = send("GET", f"/v1/files/{made.json()['id']}/content")
    assert content.headers["content-type"] == "application/octet-stream"
    assert content.content == data


def test_the_request_id_is_that_of_api_gateway(send: Send) -> None:
    for path, status in (("/v1/files", 200), ("/v1/files/nope", 404), ("/nowhere", 404)):
        answer = send("GET", path)
        assert (answer.status, answer.headers["x-request-id"]) == (
            status,
            "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
        )


def test_a_missing_key_is_a_401_in_openais_shape(send: Send) -> None:
    answer = send("GET", "/v1/files", headers={"authorization": ""})
    assert (answer.status, answer.json()["error"]["code"]) == (401, "invalid_api_key")


def test_a_parameter_given_twice_arrives_twice(send: Send) -> None:
    answer = send("GET", "/v1/usage?group_by=model&group_by=key_id")
    assert (answer.status, answer.json()["data"]) == (200, [])


def test_the_page_is_served_with_its_policy(send: Send, api_environment: dict[str, str]) -> None:
    page = send("GET", "/", headers={"authorization": ""})
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"<!doctype html>" in page.content.lower()
    assert "connect-src 'self' http://127.0.0.1:" in page.headers["content-security-policy"]
    script = send("GET", "/static/app.js", headers={"authorization": ""})
    assert (script.status, script.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    icon = send("GET", "/static/icon.svg", headers={"authorization": ""})
    assert icon.content.startswith(b"<svg")
