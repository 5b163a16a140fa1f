"""Files by the unmodified OpenAI SDK, over real PostgreSQL and the local S3."""

import dataclasses
from datetime import UTC, datetime

import httpx2
import openai
import pytest
from openai.types import FileObject

from api.app import create_app
from shared.aws.objects import Objects
from shared.files.keys import text_key
from shared.files.records import mark_uploaded
from shared.telemetry import logger
from tests.integration.api_stack import Api, Member, count_rows

pytest_plugins = ["tests.integration.api_fixtures"]


async def upload(sdk: openai.AsyncOpenAI, name: str = "a.txt", data: bytes = b"hello", **more) -> FileObject:
    return await sdk.files.create(file=(name, data), purpose="assistants", **more)


async def announce(sdk: openai.AsyncOpenAI, **fields) -> FileObject:
    body = {"filename": "big.pdf", "purpose": "assistants", "bytes": 6, "media_type": "application/pdf"}
    return await sdk.post("/files", body=body | fields, cast_to=FileObject)


async def objects_of(api: Api, tenant_id: str) -> list[str]:
    return [item.key async for item in api.services.objects.keys(f"{tenant_id}/")]


async def test_a_file_comes_back_as_it_went_in(api: Api, member: Member) -> None:
    data = "Weir 知识\n".encode() + bytes(range(256))
    made = await upload(member.sdk, "年报 2026.txt", data)
    assert (made.filename, made.bytes, made.purpose, made.status) == (
        "年报 2026.txt",
        len(data),
        "assistants",
        "processed",
    )
    assert made.object == "file"
    assert abs(made.created_at - datetime.now(UTC).timestamp()) < 60
    assert made.expires_at is None
    assert await member.sdk.files.retrieve(made.id) == made
    content = await member.sdk.files.content(made.id)
    assert content.content == data
    assert content.response.headers["content-disposition"] == "attachment"
    assert await objects_of(api, member.tenant_id) == [f"{member.tenant_id}/files/{made.id}/___2026.txt"]
    assert (await member.sdk.files.wait_for_processing(made.id)).id == made.id


async def test_a_large_file_goes_straight_to_storage(api: Api, member: Member) -> None:
    pending = await announce(member.sdk)
    assert (pending.status, pending.weir["status"], pending.bytes) == ("uploaded", "pending", 6)
    target = pending.weir["upload"]
    assert target["method"] == "PUT"
    assert target["expires_at"] - pending.created_at == 3600
    with pytest.raises(openai.ConflictError):
        await member.sdk.files.content(pending.id)
    async with httpx2.AsyncClient() as storage:
        answer = await storage.put(target["url"], content=b"%PDF-1", headers=target["headers"])
    assert answer.status_code == 200
    # As ingestion does when S3 tells it.
    async with api.services.database.tenant(member.tenant_id) as connection:
        await mark_uploaded(connection, pending.id, 6)
    uploaded = await member.sdk.files.retrieve(pending.id)
    assert (uploaded.status, uploaded.weir["status"], uploaded.weir["upload"]) == (
        "processed",
        "uploaded",
        None,
    )
    assert (await member.sdk.files.content(pending.id)).content == b"%PDF-1"


async def test_a_presigned_url_holds_the_size_to_what_was_announced(sdk: openai.AsyncOpenAI) -> None:
    url = httpx2.URL((await announce(sdk)).weir["upload"]["url"])
    assert set(url.params["X-Amz-SignedHeaders"].split(";")) == {"content-length", "content-type", "host"}


async def test_a_file_over_the_direct_limit_is_told_the_other_way(
    sdk: openai.AsyncOpenAI, member: Member, api: Api
) -> None:
    with pytest.raises(openai.APIStatusError, match="PUT the file") as caught:
        await upload(sdk, data=b"x" * 100_001)
    assert (caught.value.status_code, caught.value.code) == (413, "request_too_large")
    with pytest.raises(openai.APIStatusError) as caught:
        await upload(sdk, data=b"x" * 400_000)
    assert caught.value.status_code == 413
    with pytest.raises(openai.APIStatusError) as caught:
        await announce(sdk, bytes=1_000_001)
    assert (caught.value.status_code, caught.value.param) == (413, "bytes")
    assert await count_rows(api.services.database, member.tenant_id) == {}


async def test_a_large_answer_comes_straight_from_storage(sdk: openai.AsyncOpenAI) -> None:
    data = bytes(range(256)) * 300
    made = await upload(sdk, data=data)
    content = await sdk.files.content(made.id)
    assert content.content == data
    (redirect,) = content.response.history
    assert redirect.status_code == 307
    assert redirect.headers["cache-control"] == "no-store"


async def test_lists_go_page_by_page_while_items_are_deleted(sdk: openai.AsyncOpenAI) -> None:
    made = [(await upload(sdk, f"{i}.txt")).id for i in range(5)]
    page = await sdk.files.list(limit=2)
    assert [file.id for file in page.data] == made[:2:-1]
    assert page.has_more
    assert (page.model_extra["first_id"], page.model_extra["last_id"]) == (made[4], made[3])
    assert [file.id async for file in sdk.files.list(limit=2)] == made[::-1]
    assert [file.id async for file in sdk.files.list(limit=2, order="asc")] == made
    assert [file.id async for file in sdk.files.list(limit=2, after=made[3])] == made[2::-1]
    seen = []
    async for file in sdk.files.list(limit=2):
        seen.append(file.id)
        assert (await sdk.files.delete(file.id)).deleted
    assert seen == made[::-1]
    empty = await sdk.files.list()
    assert (empty.data, empty.has_more, empty.model_extra["first_id"]) == ([], False, None)


async def test_files_are_listed_by_purpose_and_expire(sdk: openai.AsyncOpenAI) -> None:
    await upload(sdk)
    batch = await sdk.files.create(
        file=("b.jsonl", b"{}"), purpose="batch", expires_after={"anchor": "created_at", "seconds": 7200}
    )
    assert [file.id async for file in sdk.files.list(purpose="batch")] == [batch.id]
    assert abs(batch.expires_at - batch.created_at - 7200) <= 1


async def test_a_deleted_file_leaves_no_trace(api: Api, member: Member) -> None:
    made = await upload(member.sdk)
    store = await member.sdk.vector_stores.create(file_ids=[made.id])
    await api.services.objects.put(text_key(member.tenant_id, made.id), b"clean", "text/markdown")
    deleted = await member.sdk.files.delete(made.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (made.id, True, "file")
    assert await objects_of(api, member.tenant_id) == []
    assert await count_rows(api.services.database, member.tenant_id) == {"vector_stores": 1}
    assert (await member.sdk.vector_stores.retrieve(store.id)).file_counts.total == 0
    for gone in (member.sdk.files.delete, member.sdk.files.retrieve, member.sdk.files.content):
        with pytest.raises(openai.NotFoundError, match="No such file"):
            await gone(made.id)


@pytest.mark.parametrize(
    "file_id", ["file-nope", "nope", "vs_1", "file-%00", f"file-{'a' * 200}", "file-1'--"]
)
async def test_what_is_not_there_is_a_404(sdk: openai.AsyncOpenAI, file_id: str) -> None:
    for ask in (sdk.files.retrieve, sdk.files.content, sdk.files.delete):
        with pytest.raises(openai.NotFoundError) as caught:
            await ask(file_id)
        assert caught.value.code == "not_found"


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 10_001}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"order": "up"}, "order"),
        ({"after": "nope"}, "after"),
        ({"purpose": "fun"}, "purpose"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_bad_list_parameter_is_named(sdk: openai.AsyncOpenAI, query: dict, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await sdk.files.list(extra_query=query)
    assert caught.value.param == param
    assert param in caught.value.message


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"bytes": 0}, "bytes"),
        ({"bytes": "many"}, "bytes"),
        ({"filename": "a\x00b"}, "filename"),
        ({"filename": ""}, "filename"),
        ({"media_type": "nonsense"}, "media_type"),
        ({"purpose": "fine-tune"}, "purpose"),
        ({"colour": "red"}, "colour"),
        ({"expires_after": {"anchor": "created_at", "seconds": 1}}, "expires_after.seconds"),
    ],
)
async def test_a_bad_announcement_is_named(sdk: openai.AsyncOpenAI, fields: dict, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await announce(sdk, **fields)
    assert caught.value.param == param


async def test_a_stranger_gets_a_401_whatever_is_sent(api: Api) -> None:
    async with openai.AsyncOpenAI(
        base_url=f"{api.url}/v1", api_key="sk-weir-guess", max_retries=0
    ) as stranger:
        with pytest.raises(openai.AuthenticationError) as caught:
            await stranger.files.list()
        assert caught.value.code == "invalid_api_key"
        assert caught.value.request_id.startswith("req_")
        with pytest.raises(openai.AuthenticationError):
            await upload(stranger)
        with pytest.raises(openai.AuthenticationError):
            await stranger.get("/nowhere", cast_to=object)


async def test_an_upload_that_storage_refuses_leaves_no_record(api: Api, member: Member) -> None:
    broken = dataclasses.replace(api.services, objects=Objects("no-such-bucket-anywhere"))
    transport = httpx2.ASGITransport(create_app(broken, logger("api")), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://api") as client:
        answer = await client.post(
            "/v1/files",
            headers={"authorization": f"Bearer {member.api_key}"},
            data={"purpose": "assistants"},
            files={"file": ("a.txt", b"text")},
        )
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "unavailable"
    assert await count_rows(api.services.database, member.tenant_id) == {}
