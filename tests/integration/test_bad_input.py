"""Input of every kind is answered, never with a 5xx: made from the OpenAPI documents of both functions."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.core.errors import InvalidSchema

from api.app import create_app as create_api
from chat.settings import ChatSettings
from shared.limits.keys import NewKey, create_key
from shared.telemetry import logger
from tests.contract.upstream import Reply, running_upstream
from tests.integration.test_chat import serving

pytest_plugins = ["tests.integration.api_fixtures"]
pytestmark = pytest.mark.usefixtures("aws")

_FEW = settings(
    max_examples=8,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@st.composite
def _that_can_be_made(draw: st.DrawFn, cases: st.SearchStrategy[schemathesis.Case]) -> schemathesis.Case:
    """Cases, without the rare ones that Schemathesis thinks out and then finds no value for."""
    try:
        return draw(cases)
    except InvalidSchema:
        reject()


def _ask_all(cases: st.SearchStrategy[schemathesis.Case], url: str, key: str) -> int:
    asked = 0

    @given(case=_that_can_be_made(cases))
    @_FEW
    def ask(case: schemathesis.Case) -> None:
        nonlocal asked
        asked += 1
        answer = case.call(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30)
        assert answer.status_code < 500, (case.as_curl_command(), answer.text)

    # An operation that takes nothing has nothing that could be wrong.
    with suppress(Unsatisfiable):
        ask()
    return asked


def _fuzz(document: dict[str, Any], url: str, key: str, skipped: Callable[[str], bool]) -> Counter[str]:
    """Call all with what their schemas allow and what they forbid; how often each path was called."""
    called: Counter[str] = Counter()
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = result.ok()
        if skipped(operation.path):
            continue
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
            called[operation.path] += _ask_all(operation.as_strategy(generation_mode=mode), url, key)
    return called


async def test_the_api_never_breaks(api, new_member) -> None:
    admin = await new_member("admin")
    document = create_api(api.services, logger("test")).openapi()
    called = await asyncio.to_thread(
        _fuzz, document, api.url, admin.api_key, lambda path: not path.startswith("/v1")
    )
    assert called["/v1/vector_stores"] >= 16
    assert all(called.values()), called


CATALOG = """
[[providers]]
name = "loopback"
base_url = "{url}"
secret = "none"
[[providers.models]]
kind = "chat"
name = "test-model"
context_window = 8192
abilities = ["vision", "tools", "json_object", "json_schema", "thinking"]
price = {{ input = "1", output = "2" }}
"""

COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


@pytest.fixture
async def chat_url(database_url, valkey_url, queues, tmp_path, monkeypatch) -> AsyncIterator[str]:
    monkeypatch.setenv("TEST_DATABASE_URL", database_url)
    async with running_upstream() as upstream:
        upstream.replies = [Reply(COMPLETION)]
        catalog = tmp_path / "catalog.toml"
        catalog.write_text(CATALOG.format(url=upstream.url))
        chat = ChatSettings(
            database_secret="env:TEST_DATABASE_URL",
            valkey_url=valkey_url,
            valkey_timeout_ms=2000,
            usage_queue_url=queues.usage,
            catalog=str(catalog),
            provider_secrets="env:NO_SUCH_{PROVIDER}",
        )
        async with serving(chat) as url:
            yield url.removesuffix("/v1")


async def _chat_document(url: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/openapi.json") as answer:
        document: dict[str, Any] = await answer.json()
        return document


async def test_chat_never_breaks(chat_url, database, tenant_id) -> None:
    async with database.tenant(tenant_id) as connection:
        key = (await create_key(connection, NewKey(tenant_id=tenant_id, name="test"))).plaintext
    document = await _chat_document(chat_url)
    called = await asyncio.to_thread(_fuzz, document, chat_url, key, lambda path: False)
    assert called["/v1/chat/completions"] >= 16
    assert all(called.values()), called


# Bodies that reach the pipeline: the model is there, and everything else is anything.
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
_FIELDS = st.sampled_from(
    [
        "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "tools", "tool_choice",
        "response_format", "temperature", "n", "weir", "user", "metadata", "logprobs", "stop",
    ]
)  # fmt: skip


async def test_chat_bodies_never_break(chat_url, database, tenant_id) -> None:
    async with database.tenant(tenant_id) as connection:
        key = (await create_key(connection, NewKey(tenant_id=tenant_id, name="test"))).plaintext
    usual = {"model": "test-model", "messages": [{"role": "user", "content": "Hello"}]}

    @given(fields=st.dictionaries(_FIELDS, _JSON, max_size=4))
    @settings(_FEW, max_examples=80)
    def ask(fields: dict[str, Any]) -> None:
        body = json.dumps({**usual, **fields})
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        answer = requests.post(f"{chat_url}/v1/chat/completions", data=body, headers=headers, timeout=30)
        assert answer.status_code < 500, (body, answer.text)

    await asyncio.to_thread(ask)


@pytest.mark.parametrize("depth", [100, 255, 1000, 5000])
@pytest.mark.parametrize("field", ["metadata", "tools", "unknown"])
async def test_a_body_of_any_depth_is_answered(chat_url, database, tenant_id, depth, field) -> None:
    async with database.tenant(tenant_id) as connection:
        key = (await create_key(connection, NewKey(tenant_id=tenant_id, name="test"))).plaintext
    usual = json.dumps({"model": "test-model", "messages": [{"role": "user", "content": "Hello"}]})
    body = f'{usual[:-1]}, "{field}": {"[" * depth}{"]" * depth}}}'
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession() as session:
        url = f"{chat_url}/v1/chat/completions"
        async with session.post(url, data=body, headers=headers) as answer:
            assert answer.status < 500, await answer.text()
