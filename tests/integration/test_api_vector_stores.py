"""Vector stores and their files by the unmodified OpenAI SDK, over real components."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import openai
import pytest
from openai.types.vector_stores import VectorStoreFile
from psycopg.errors import LockNotAvailable

from shared.errors import UnavailableError
from shared.files.keys import text_key
from shared.files.records import mark_uploaded
from shared.knowledge.messages import ReembedStore
from shared.knowledge.store_files import attach_file, detach_everywhere
from shared.postgres.database import Connection
from tests.integration.api_stack import Api, Member, bodies, count_rows
from tests.integration.test_api_files import announce, upload

pytest_plugins = ["tests.integration.api_fixtures"]


async def queued(api: Api) -> list[str]:
    """The files that ingestion was told of."""
    return [json.loads(body)["file_id"] for body in await bodies(api.queues.ingestion)]


async def finish(api: Api, tenant_id: str, file_id: str, status: str = "completed", **columns) -> None:
    """End a file's ingestion, as its worker does."""
    values = {"status": status, "error_code": None, "error_message": None, "usage_bytes": 0} | columns
    async with api.services.database.tenant(tenant_id) as connection:
        await connection.execute(
            """
            UPDATE vector_store_files SET status = %(status)s, error_code = %(error_code)s,
                   error_message = %(error_message)s, usage_bytes = %(usage_bytes)s
            WHERE file_id = %(file_id)s
            """,
            values | {"file_id": file_id},
        )


async def test_a_store_is_made_changed_and_deleted(api: Api, member: Member) -> None:
    stores = member.sdk.vector_stores
    made = await stores.create(
        name="Handbook",
        description="How we work",
        metadata={"team": "ops"},
        expires_after={"anchor": "last_active_at", "days": 7},
    )
    assert (made.object, made.name, made.status, made.usage_bytes) == (
        "vector_store",
        "Handbook",
        "completed",
        0,
    )
    assert made.metadata == {"team": "ops"}
    assert made.expires_after.model_dump() == {"anchor": "last_active_at", "days": 7}
    assert made.expires_at == made.last_active_at + 7 * 86_400
    assert made.file_counts.model_dump() == dict.fromkeys(
        ("in_progress", "completed", "failed", "cancelled", "total"), 0
    )
    assert made.weir == {
        "embedding_model": "use-multilingual-v3",
        "dimensions": 512,
        "next_embedding_model": None,
        "reembedding_error": None,
    }
    assert await stores.retrieve(made.id) == made
    renamed = await stores.update(made.id, name="手册")
    assert (renamed.name, renamed.metadata, renamed.expires_after) == (
        "手册",
        made.metadata,
        made.expires_after,
    )
    emptied = await stores.update(made.id, metadata=None, expires_after=None)
    assert (emptied.name, emptied.metadata, emptied.expires_after) == ("手册", {}, None)
    deleted = await stores.delete(made.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (made.id, True, "vector_store.deleted")
    assert await count_rows(api.services.database, member.tenant_id) == {}
    for gone in (stores.retrieve, stores.delete, stores.update):
        with pytest.raises(openai.NotFoundError, match="No such vector store"):
            await gone(made.id)


async def test_stores_are_listed_page_by_page_in_both_directions(sdk: openai.AsyncOpenAI) -> None:
    made = [(await sdk.vector_stores.create(name=str(i))).id for i in range(5)]
    assert [store.id async for store in sdk.vector_stores.list(limit=2)] == made[::-1]
    assert [store.id async for store in sdk.vector_stores.list(limit=2, order="asc")] == made
    before = await sdk.vector_stores.list(limit=2, before=made[1])
    assert ([store.id for store in before.data], before.has_more) == ([made[3], made[2]], True)
    before = await sdk.vector_stores.list(limit=2, before=made[3])
    assert ([store.id for store in before.data], before.has_more) == ([made[4]], False)
    between = await sdk.vector_stores.list(after=made[4], before=made[1])
    assert [store.id for store in between.data] == [made[3], made[2]]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": {str(i): "v" for i in range(17)}}, "metadata"),
        ({"expires_after": {"anchor": "last_active_at", "days": 0}}, "expires_after.days"),
        ({"file_ids": ["nope"]}, "file_ids[0]"),
        ({"file_ids": [f"file-{i}" for i in range(6)]}, "file_ids"),
        ({"name": "a\x00"}, "name"),
        ({"name": "n" * 257}, "name"),
        ({"chunking_strategy": {"type": "other"}}, "chunking_strategy"),
        (
            {"chunking_strategy": {"type": "static", "static": {"max_chunk_size_tokens": 99}}},
            "chunking_strategy.static.static.max_chunk_size_tokens",
        ),
        ({"extra_body": {"colour": "red"}}, "colour"),
        ({"extra_body": {"weir": {"embedding_model": "odd-size"}}}, "weir.embedding_model"),
    ],
)
async def test_a_bad_field_is_named(sdk: openai.AsyncOpenAI, fields: dict, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await sdk.vector_stores.create(**fields)
    assert caught.value.param == param


async def test_another_embedding_model_is_made_ready_in_the_background(api: Api, member: Member) -> None:
    stores = member.sdk.vector_stores
    made = await stores.create()
    # As if it had been made with a model that is to be left.
    async with api.services.database.tenant(member.tenant_id) as connection:
        await connection.execute("UPDATE vector_stores SET embedding_model = 'retired'")
    wanted = {"weir": {"embedding_model": "use-multilingual-v3"}}
    changing = await stores.update(made.id, extra_body=wanted)
    assert changing.weir["embedding_model"] == "retired"
    assert changing.weir["next_embedding_model"] == "use-multilingual-v3"
    (message,) = await bodies(api.queues.ingestion)
    assert ReembedStore.model_validate_json(message).vector_store_id == made.id
    with pytest.raises(openai.NotFoundError):
        await stores.update(made.id, extra_body={"weir": {"embedding_model": "no-such-model"}})


async def test_an_unknown_embedding_model_is_a_404(sdk: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await sdk.vector_stores.create(extra_body={"weir": {"embedding_model": "no-such-model"}})
    assert caught.value.code == "model_not_found"


async def test_an_uploaded_file_is_sent_to_ingestion_once_attached(api: Api, member: Member) -> None:
    file = await upload(member.sdk)
    store = await member.sdk.vector_stores.create()
    attached = await member.sdk.vector_stores.files.create(
        store.id, file_id=file.id, attributes={"year": 2026, "public": True}
    )
    assert (attached.id, attached.object, attached.status) == (file.id, "vector_store.file", "in_progress")
    assert attached.attributes == {"year": 2026, "public": True}
    assert attached.last_error is None
    assert await queued(api) == [file.id]
    counted = await member.sdk.vector_stores.retrieve(store.id)
    assert (counted.status, counted.file_counts.in_progress, counted.file_counts.total) == (
        "in_progress",
        1,
        1,
    )
    await finish(api, member.tenant_id, file.id, usage_bytes=123)
    counted = await member.sdk.vector_stores.retrieve(store.id)
    assert (counted.status, counted.file_counts.completed, counted.usage_bytes) == ("completed", 1, 123)


async def test_a_pending_file_waits_for_its_upload(api: Api, member: Member) -> None:
    pending = await announce(member.sdk)
    store = await member.sdk.vector_stores.create(file_ids=[pending.id])
    assert store.file_counts.in_progress == 1
    assert await queued(api) == []


async def test_a_failed_file_says_why_and_may_try_again(api: Api, member: Member) -> None:
    file = await upload(member.sdk)
    store = await member.sdk.vector_stores.create(file_ids=[file.id])
    await finish(
        api,
        member.tenant_id,
        file.id,
        "failed",
        error_code="invalid_file",
        error_message="The PDF is broken.",
    )
    files = member.sdk.vector_stores.files
    failed = await files.retrieve(file.id, vector_store_id=store.id)
    assert (failed.status, failed.last_error.code) == ("failed", "invalid_file")
    assert failed.last_error.message == "The PDF is broken."
    await queued(api)
    again = await files.create(store.id, file_id=file.id)
    assert (again.status, again.last_error) == ("in_progress", None)
    assert await queued(api) == [file.id]


async def test_a_size_of_chunks_is_the_files_or_else_the_stores(member: Member) -> None:
    def sizes(tokens: int) -> dict:
        return {"type": "static", "static": {"max_chunk_size_tokens": tokens, "chunk_overlap_tokens": 0}}

    stores = member.sdk.vector_stores
    named = [await upload(member.sdk, f"{n}.txt", b"hello") for n in range(3)]
    store = await stores.create(file_ids=[named[0].id], chunking_strategy=sizes(200))
    await stores.files.create(store.id, file_id=named[1].id, chunking_strategy={"type": "auto"})
    await stores.file_batches.create(store.id, file_ids=[named[2].id], chunking_strategy=sizes(800))
    shown = [await stores.files.retrieve(file.id, vector_store_id=store.id) for file in named]
    assert [f.chunking_strategy.static.max_chunk_size_tokens for f in shown] == [200, 200, 800]
    # One that is there stays as it is.
    again = await stores.files.create(store.id, file_id=named[1].id, chunking_strategy=sizes(300))
    assert again.chunking_strategy.static.max_chunk_size_tokens == 200
    other = await stores.create(file_ids=[named[0].id])
    (usual,) = [file async for file in stores.files.list(other.id)]
    assert usual.chunking_strategy.static.max_chunk_size_tokens == 512
    assert usual.model_extra["weir"]["unread_pages"] == []


async def test_attaching_again_keeps_what_is_done(api: Api, member: Member) -> None:
    file = await upload(member.sdk)
    store = await member.sdk.vector_stores.create()
    files = member.sdk.vector_stores.files
    await files.create(store.id, file_id=file.id, attributes={"a": 1})
    await finish(api, member.tenant_id, file.id)
    await queued(api)
    again = await files.create(store.id, file_id=file.id)
    assert (again.status, again.attributes) == ("completed", {"a": 1})
    assert (await files.create(store.id, file_id=file.id, attributes={"b": 2})).attributes == {"b": 2}
    assert await queued(api) == []
    assert [f.id async for f in files.list(store.id)] == [file.id]


async def test_attributes_are_replaced_and_files_detached(api: Api, member: Member) -> None:
    file = await upload(member.sdk)
    store = await member.sdk.vector_stores.create(file_ids=[file.id])
    files = member.sdk.vector_stores.files
    changed = await files.update(file.id, vector_store_id=store.id, attributes={"lang": "zh"})
    assert changed.attributes == {"lang": "zh"}
    assert (await files.update(file.id, vector_store_id=store.id, attributes=None)).attributes == {}
    gone = await files.delete(file.id, vector_store_id=store.id)
    assert (gone.id, gone.deleted, gone.object) == (file.id, True, "vector_store.file.deleted")
    assert await count_rows(api.services.database, member.tenant_id) == {"files": 1, "vector_stores": 1}
    for ask in (files.retrieve, files.delete, files.content):
        with pytest.raises(openai.NotFoundError):
            await ask(file.id, vector_store_id=store.id)


async def test_files_are_listed_by_status_and_page_by_page(api: Api, member: Member) -> None:
    ids = [(await upload(member.sdk, f"{i}.txt")).id for i in range(4)]
    store = await member.sdk.vector_stores.create(file_ids=ids)
    await finish(api, member.tenant_id, ids[1])
    files = member.sdk.vector_stores.files
    assert [f.id async for f in files.list(store.id, limit=3)] == ids[::-1]
    assert [f.id async for f in files.list(store.id, filter="completed")] == [ids[1]]
    assert [f.id async for f in files.list(store.id, filter="in_progress", limit=1, order="asc")] == [
        ids[0],
        *ids[2:],
    ]


async def test_the_clean_text_is_read_in_parts(api: Api, member: Member) -> None:
    file = await upload(member.sdk)
    store = await member.sdk.vector_stores.create(file_ids=[file.id])
    files = member.sdk.vector_stores.files
    with pytest.raises(openai.ConflictError, match="in_progress"):
        await files.content(file.id, vector_store_id=store.id)
    text = "知" * 1500
    await api.services.objects.put(text_key(member.tenant_id, file.id), text.encode(), "text/markdown")
    await finish(api, member.tenant_id, file.id)
    first = await files.content(file.id, vector_store_id=store.id)
    assert first.object == "vector_store.file_content.page"
    assert ([part.type for part in first.data], first.model_extra["next_page"]) == (["text"], "2")
    second = await files.content(file.id, vector_store_id=store.id, extra_query={"page": "2"})
    assert (first.data[0].text + second.data[0].text, second.model_extra["has_more"]) == (text, False)


async def test_the_sdk_polls_until_a_file_is_done(api: Api, member: Member) -> None:
    store = await member.sdk.vector_stores.create()
    await queued(api)

    async def worker() -> None:
        while not (told := await queued(api)):
            pass
        await finish(api, member.tenant_id, told[0])

    polled, _ = await asyncio.gather(
        member.sdk.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=("a.md", b"# Title")),
        worker(),
    )
    assert isinstance(polled, VectorStoreFile)
    assert polled.status == "completed"


async def test_a_batch_is_waited_for_as_one(api: Api, member: Member) -> None:
    ids = [(await upload(member.sdk, f"{i}.txt")).id for i in range(3)]
    store = await member.sdk.vector_stores.create()
    batches = member.sdk.vector_stores.file_batches
    await queued(api)
    batch = await batches.create(store.id, file_ids=ids[:2], attributes={"set": "a"})
    assert (batch.object, batch.status, batch.vector_store_id) == (
        "vector_store.files_batch",
        "in_progress",
        store.id,
    )
    assert (batch.file_counts.in_progress, batch.file_counts.total) == (2, 2)
    assert sorted(await queued(api)) == ids[:2]
    other = await batches.create(store.id, files=[{"file_id": ids[1]}, {"file_id": ids[2]}])
    await finish(api, member.tenant_id, ids[0])
    await finish(api, member.tenant_id, ids[1], "failed", error_code="invalid_file", error_message="no")
    done = await batches.poll(batch.id, vector_store_id=store.id)
    assert (done.status, done.file_counts.completed, done.file_counts.failed) == ("completed", 1, 1)
    listed = batches.list_files(other.id, vector_store_id=store.id)
    assert [file.id async for file in listed] == [ids[2], ids[1]]
    cancelled = await batches.cancel(other.id, vector_store_id=store.id)
    assert (cancelled.status, cancelled.file_counts.cancelled) == ("completed", 1)
    with pytest.raises(openai.NotFoundError):
        await batches.retrieve("vsfb_none", vector_store_id=store.id)


async def has_to_wait(api: Api, member: Member, operation: Callable[[Connection], Awaitable[object]]) -> bool:
    """Whether an operation in another transaction has to wait for a lock."""
    try:
        async with api.services.database.tenant(member.tenant_id) as connection:
            await connection.execute("SET LOCAL lock_timeout = '50ms'")
            await operation(connection)
    except UnavailableError as error:
        return isinstance(error.__cause__, LockNotAvailable)
    return False


async def test_an_upload_is_not_marked_while_its_file_is_being_attached(api: Api, member: Member) -> None:
    """Else both could miss each other: the one the upload, the other the attachment."""
    pending = await announce(member.sdk)
    store = await member.sdk.vector_stores.create()
    attachment = {"tenant_id": member.tenant_id, "vector_store_id": store.id, "file_id": pending.id}
    database = api.services.database
    async with database.tenant(member.tenant_id) as attaching:
        assert not (await attach_file(attaching, **attachment)).ready_to_ingest
        assert await has_to_wait(api, member, lambda other: mark_uploaded(other, pending.id, 6))
    async with database.tenant(member.tenant_id) as marking:
        await mark_uploaded(marking, pending.id, 6)
        assert (await attach_file(marking, **attachment)).ready_to_ingest


async def test_a_file_that_is_being_deleted_cannot_be_attached(api: Api, member: Member) -> None:
    file = await upload(member.sdk)
    store = await member.sdk.vector_stores.create()
    attachment = {"tenant_id": member.tenant_id, "vector_store_id": store.id, "file_id": file.id}
    database = api.services.database
    async with database.tenant(member.tenant_id) as deleting:
        await detach_everywhere(deleting, tenant_id=member.tenant_id, file_id=file.id)
        assert await has_to_wait(api, member, lambda other: attach_file(other, **attachment))
