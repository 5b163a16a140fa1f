"""A custom resource always answers: CloudFormation waits an hour for one that does not."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from shared.aws.secrets import UnknownSecretError
from tests.loading import Context, fresh_handler

EVENT = json.loads(Path("events/cloudformation-schema.json").read_text())


class Answers(HTTPServer):
    """Takes what is PUT to it, as CloudFormation's bucket does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Put)
        self.answers: list[dict[str, Any]] = []
        self.content_types: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/answer?signature=1"


class _Put(BaseHTTPRequestHandler):
    server: Answers

    def do_PUT(self) -> None:
        self.server.answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.content_types.append(self.headers["Content-Type"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def cloudformation() -> Iterator[Answers]:
    with Answers() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setenv("WEIR_OWNER_SECRET", "env:OWNER_URL")
    monkeypatch.setenv("WEIR_DATABASE_SECRET", "env:LOGIN_URL")
    with fresh_handler("migrations") as module:
        yield module


def test_a_failure_is_answered_with_its_reason(handler: ModuleType, cloudformation: Answers) -> None:
    handler.handle({**EVENT, "ResponseURL": cloudformation.url}, Context())
    (answer,) = cloudformation.answers
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith(UnknownSecretError.__name__)
    assert (answer["StackId"], answer["RequestId"]) == (EVENT["StackId"], EVENT["RequestId"])
    assert answer["LogicalResourceId"] == "Schema"
    # The URL is signed for none.
    assert not cloudformation.content_types[0]


def test_deletion_touches_nothing_and_keeps_the_resource_the_same(
    handler: ModuleType, cloudformation: Answers
) -> None:
    handler.handle({**EVENT, "RequestType": "Delete", "ResponseURL": cloudformation.url}, Context())
    (answer,) = cloudformation.answers
    assert answer["Status"] == "SUCCESS"
    assert answer["PhysicalResourceId"] == EVENT["PhysicalResourceId"]
