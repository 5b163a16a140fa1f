"""Nobody reaches another tenant's things, by any route."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2
import pytest

from api.app import create_app
from shared.ledger.records import record_usage
from shared.ledger.usage import UsageRecord
from shared.telemetry import logger
from tests.integration.api_stack import Api, Member, NewMember, count_rows
from tests.integration.test_api_files import upload

pytest_plugins = ["tests.integration.api_fixtures"]


@dataclass(frozen=True)
class Owned:
    """What one tenant has, by the name of the path parameter."""

    owner: Member
    ids: dict[str, str]


# Valid bodies, so that it is the thing that is refused and not the form.
BODIES: dict[tuple[str, str], dict[str, object]] = {
    ("POST", "/v1/vector_stores/{vector_store_id}"): {"name": "mine now"},
    ("POST", "/v1/vector_stores/{vector_store_id}/search"): {"query": "anything"},
    ("POST", "/v1/vector_stores/{vector_store_id}/files"): {"file_id": "{file_id}"},
    ("POST", "/v1/vector_stores/{vector_store_id}/files/{file_id}"): {"attributes": {"a": 1}},
    ("POST", "/v1/vector_stores/{vector_store_id}/file_batches"): {"file_ids": ["{file_id}"]},
}


@pytest.fixture
async def owned(api: Api, new_member: NewMember) -> Owned:
    owner = await new_member("admin")
    file = await upload(owner.sdk)
    store = await owner.sdk.vector_stores.create(name="private")
    batch = await owner.sdk.vector_stores.file_batches.create(store.id, file_ids=[file.id])
    wanted = {"url": "https://example.com", "vector_store_id": store.id, "schedule": {"cron": "0 3 * * *"}}
    scrape = await owner.sdk.post("/scrapes", cast_to=object, body=wanted)
    lines = await owner.sdk.files.create(file=("lines.jsonl", b"{}"), purpose="batch")
    requests = await owner.sdk.batches.create(
        input_file_id=lines.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    key = await owner.sdk.post("/keys", cast_to=object, body={"name": "second"})
    used = UsageRecord(
        tenant_id=owner.tenant_id,
        request_id=f"req_{owner.key_id}",
        key_id=owner.key_id,
        endpoint="/v1/embeddings",
        model="private",
        provider="local",
        prompt_tokens=1,
        completion_tokens=0,
        cost_microdollars=1,
        cache_outcome="off",
        outcome="completed",
        duration_ms=1,
        created_at=api.services.clock(),
    )
    async with api.services.database.tenant(owner.tenant_id) as connection:
        await record_usage(connection, used)
    return Owned(
        owner,
        {
            "file_id": file.id,
            "vector_store_id": store.id,
            "batch_id": batch.id,
            "scrape_id": scrape["id"],
            "schedule_id": scrape["schedule_id"],
            "requests": requests.id,
            "key_id": key["id"],
            "request_id": used.request_id,
        },
    )


@pytest.fixture
async def intruder(api: Api, new_member: NewMember) -> AsyncIterator[httpx2.AsyncClient]:
    """An admin of another tenant."""
    other = await new_member("admin")
    headers = {"authorization": f"Bearer {other.api_key}"}
    async with httpx2.AsyncClient(base_url=api.url, headers=headers) as client:
        yield client


def routes(api: Api) -> list[tuple[str, str]]:
    """Every method and path of the API, from what it says of itself."""
    paths = create_app(api.services, logger("api")).openapi()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def filled(template: object, ids: dict[str, str]) -> object:
    match template:
        case dict():
            return {key: filled(value, ids) for key, value in template.items()}
        case list():
            return [filled(value, ids) for value in template]
        case str():
            return template.format(**ids)
    return template


async def test_no_route_with_an_id_shows_or_changes_anothers(
    api: Api, owned: Owned, intruder: httpx2.AsyncClient
) -> None:
    before = await count_rows(api.services.database, owned.owner.tenant_id)
    tried = [(method, path) for method, path in routes(api) if "{" in path and path.startswith("/v1")]
    assert len(tried) >= 20
    for method, path in tried:
        # Batches of files and batches of requests have their names from OpenAI.
        ids = owned.ids | ({"batch_id": owned.ids["requests"]} if path.startswith("/v1/batches") else {})
        body = filled(BODIES.get((method, path), {}), ids)
        answer = await intruder.request(method, path.format(**ids), json=body if method == "POST" else None)
        assert answer.status_code == 404, (method, path, answer.text)
        assert answer.json()["error"]["code"] == "not_found", (method, path, answer.text)
        assert "private" not in answer.text
    assert await count_rows(api.services.database, owned.owner.tenant_id) == before
    assert (await owned.owner.sdk.files.content(owned.ids["file_id"])).content == b"hello"


async def test_no_list_shows_anothers(api: Api, owned: Owned, intruder: httpx2.AsyncClient) -> None:
    lists = [path for method, path in routes(api) if method == "GET" and "{" not in path and path != "/"]
    assert set(lists) == {
        "/v1/files",
        "/v1/vector_stores",
        "/v1/scrapes",
        "/v1/scrape_schedules",
        "/v1/batches",
        "/v1/keys",
        "/v1/limits",
        "/v1/usage",
    }
    for path in lists:
        answer = await intruder.get(path)
        assert answer.status_code == 200
        assert not any(identity in answer.text for identity in owned.ids.values()), path


async def test_no_body_reaches_anothers(api: Api, owned: Owned, intruder: httpx2.AsyncClient) -> None:
    file_id, store_id = owned.ids["file_id"], owned.ids["vector_store_id"]
    own_store = (await intruder.post("/v1/vector_stores", json={})).json()["id"]
    form = {"data": {"purpose": "assistants"}, "files": {"file": ("own.txt", b"own")}}
    own_file = (await intruder.post("/v1/files", **form)).json()["id"]
    attempts = [
        ("/v1/vector_stores", {"file_ids": [file_id]}),
        (f"/v1/vector_stores/{own_store}/files", {"file_id": file_id}),
        (f"/v1/vector_stores/{own_store}/file_batches", {"file_ids": [own_file, file_id]}),
        (f"/v1/vector_stores/{store_id}/files", {"file_id": own_file}),
        ("/v1/scrapes", {"url": "https://example.com", "vector_store_id": store_id}),
        (
            "/v1/batches",
            {"input_file_id": file_id, "endpoint": "/v1/embeddings", "completion_window": "24h"},
        ),
    ]
    for path, body in attempts:
        answer = await intruder.post(path, json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found"), (path, answer.text)
    store = await owned.owner.sdk.vector_stores.retrieve(store_id)
    assert store.file_counts.total == 1
    assert (await intruder.get(f"/v1/vector_stores/{own_store}/files")).json()["data"] == []


async def test_an_id_as_cursor_tells_nothing(owned: Owned, intruder: httpx2.AsyncClient) -> None:
    for path, name in (
        ("files", "file_id"),
        ("vector_stores", "vector_store_id"),
        ("scrapes", "scrape_id"),
        ("batches", "requests"),
    ):
        answer = await intruder.get(f"/v1/{path}", params={"after": owned.ids[name]})
        assert (answer.status_code, answer.json()["data"]) == (200, [])
