"""The page's files: right types, a strict policy, nothing but what is meant to be served."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.errors import install_error_handlers
from api.routes.page import create_router
from shared.telemetry import logger


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "app.js").write_text("export {};")
    (tmp_path / "notes.md").write_text("not for readers")
    (tmp_path.parent / "secret.js").write_text("outside")
    app = FastAPI()
    app.include_router(create_router(tmp_path, ["https://bucket.example"]))
    install_error_handlers(app, logger("test"))
    return TestClient(app)


@pytest.mark.parametrize(("path", "media_type"), [("/", "text/html"), ("/static/app.js", "text/javascript")])
def test_files_have_their_type_and_the_policy(client: TestClient, path: str, media_type: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["connect-src"] == "'self' https://bucket.example"
    assert policy["frame-ancestors"] == "'none'"


def test_a_file_that_is_known_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/static/app.js")
    again = client.get("/static/app.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["cache-control"] == "no-cache"
    assert client.get("/", headers={"if-none-match": first.headers["etag"]}).status_code == 200


@pytest.mark.parametrize("name", ["notes.md", "..%2Fsecret.js", "%2e%2e%2fsecret.js", "none.js", "app.js%00"])
def test_nothing_else_is_served(client: TestClient, name: str) -> None:
    answer = client.get(f"/static/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "unknown_url"
