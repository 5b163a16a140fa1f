"""Every failure is OpenAI's error object, with a message that names the field."""

import json
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Query
from starlette.requests import ClientDisconnect
from starlette.testclient import TestClient

from api.body_limit import BodyLimit
from api.errors import install_error_handlers
from api.schemas.fields import FileId, FilePath, Metadata, RequestModel
from shared.http.request_id import RequestIdHeader
from shared.providers.failures import UpstreamFailure
from shared.telemetry import logger

LIMIT = 200


class Body(RequestModel):
    file_ids: tuple[FileId, ...] = ()
    metadata: Metadata | None = None
    days: int = 1


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = FastAPI(openapi_url=None)

    @app.post("/things/{file_id}")
    async def make(file_id: FilePath, body: Body, limit: Annotated[int, Query(le=100)] = 1) -> str:
        return file_id

    @app.post("/upstream")
    async def upstream() -> None:
        raise UpstreamFailure("rate_limited", "openai", "slow down", retry_after=7)

    @app.get("/broken")
    async def broken() -> None:
        raise ClientDisconnect("the secret is sk-1")

    install_error_handlers(app, logger("test"))
    app.add_middleware(BodyLimit, json_bytes=LIMIT, upload_bytes=LIMIT)
    app.add_middleware(RequestIdHeader)
    return TestClient(app, raise_server_exceptions=False)


def post(client: TestClient, body: Any, path: str = "/things/file-1") -> tuple[int, dict[str, Any]]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = client.post(path, content=content, headers={"content-type": "application/json"})
    return answer.status_code, answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        ({"file_ids": ["file-1", "nope"]}, "file_ids[1]", "begins with 'file-'"),
        ({"metadata": {"a": 5}}, "metadata.a", "valid string"),
        ({"days": "soon"}, "days", "valid integer"),
        ({"typo": 1}, "typo", "this field is not known"),
        ({"metadata": {"a": "\ud800"}}, "metadata.a", "surrogate"),
        ([1], None, "JSON object"),
        (b"{", None, "not valid JSON"),
        (b"", None, "JSON object"),
        (b"\xff\xfe", None, "body"),
        (b"[" * 199, None, "not valid JSON"),
    ],
)
def test_a_bad_body_is_a_400_that_names_the_field(
    client: TestClient, body: Any, param: str | None, said: str
) -> None:
    status, error = post(client, body)
    assert (status, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert said in error["message"]


def test_a_bad_query_parameter_is_named(client: TestClient) -> None:
    status, error = post(client, {}, "/things/file-1?limit=101")
    assert (status, error["param"]) == (400, "limit")


def test_a_malformed_id_in_the_path_is_a_thing_that_is_not_there(client: TestClient) -> None:
    status, error = post(client, {}, "/things/nope")
    assert (status, error["code"], error["param"]) == (404, "not_found", "file_id")


def test_an_unknown_route_and_a_wrong_method_have_the_shape_too(client: TestClient) -> None:
    unknown, wrong = client.get("/nowhere"), client.get("/things/file-1")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown_url")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "POST"


def test_a_body_over_the_limit_is_a_413_though_its_parser_wraps_it(client: TestClient) -> None:
    status, error = post(client, {"metadata": {"a": "x" * LIMIT}})
    assert (status, error["code"]) == (413, "request_too_large")


def test_a_body_over_the_limit_is_refused_without_a_content_length(client: TestClient) -> None:
    pieces = (b"x" * 50 for _ in range(10))
    answer = client.post("/things/file-1", content=pieces, headers={"content-type": "application/json"})
    assert answer.status_code == 413


def test_a_provider_that_fails_is_explained(client: TestClient) -> None:
    answer = client.post("/upstream")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.json()["error"]["type"] == "rate_limit_error"


def test_what_nobody_expected_is_a_500_that_tells_nothing_but_its_id(client: TestClient) -> None:
    answer = client.get("/broken")
    assert answer.status_code == 500
    assert "sk-1" not in answer.text
    assert answer.headers["x-request-id"].startswith("req_")
