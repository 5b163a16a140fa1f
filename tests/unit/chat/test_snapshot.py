"""With SnapStart chat opens nothing before its environment has come back from the snapshot."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx2
import pytest
from fastapi import FastAPI

from chat.app import create_app
from chat.snapshot import RESTORED, is_for_snapshot
from shared.completion.opening import Opened
from shared.telemetry import logger


class Stores:
    """Says what has become of them."""

    def __init__(self) -> None:
        self.said: list[str] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Opened]:
        self.said.append("opened")
        yield cast("Opened", object())
        self.said.append("closed")


def application(stores: Stores, *, for_snapshot: bool) -> FastAPI:
    return create_app(stores.open, max_body_bytes=1, log=logger("chat"), for_snapshot=for_snapshot)


async def post(app: Any, path: str) -> int:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://chat") as client:
        return (await client.post(path)).status_code


async def test_stores_are_opened_when_the_environment_has_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    stores = Stores()
    # The real one makes a client of AWS, which the process would keep.
    monkeypatch.setattr("chat.app.import_what_calls_need", lambda: stores.said.append("imported"))
    app = application(stores, for_snapshot=True)
    async with app.router.lifespan_context(app):
        assert stores.said == ["imported"]
        assert await post(app, RESTORED) == 204
        assert stores.said == ["imported", "opened"]
    assert stores.said == ["imported", "opened", "closed"]


async def test_without_a_snapshot_they_are_opened_at_the_start_and_by_nobody_else() -> None:
    stores = Stores()
    app = application(stores, for_snapshot=False)
    async with app.router.lifespan_context(app):
        assert stores.said == ["opened"]
        assert await post(app, RESTORED) == 404
    assert stores.said == ["opened", "closed"]


def test_lambda_says_what_a_process_is_for() -> None:
    assert is_for_snapshot({"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"})
    assert not is_for_snapshot({"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"})
    assert not is_for_snapshot({})
