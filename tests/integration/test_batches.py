"""Batches as the OpenAI SDK has them, against the API and a worker over real components."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import openai
import pytest
from aiohttp import ClientSession, web
from openai.types import Batch

from batch.opening import open_means
from batch.settings import BatchSettings
from cleanup.expiry import delete_ended_batches
from cleanup.stuck import resend_batches
from shared.batch.means import Means
from shared.batch.messages import AdvanceBatch
from shared.ledger.usage import UsageBatch, UsageRecord
from shared.limits.limits import Limits
from shared.telemetry import logger
from tests.integration.api_stack import Api, Member, NewMember, bodies
from tests.integration.batch_world import (
    CATALOG,
    Provider,
    QueueWorker,
    chat_line,
    jsonl,
    running_provider,
)

pytest_plugins = ["tests.integration.api_fixtures"]

CHAT: Final = "/v1/chat/completions"


@dataclass
class Clock:
    """The time, and how far it was put forward."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with running_provider() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(api_environment: dict[str, str], provider: Provider, tmp_path: Path) -> Iterator[BatchSettings]:
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(CATALOG.format(url=provider.url))
    own = {
        "WEIR_CATALOG": str(catalog),
        "WEIR_BATCH_CHUNK_LINES": "4",
        "WEIR_BATCH_WINDOW": "3",
        "WEIR_BATCH_LEASE_SECONDS": "2",
        "WEIR_BATCH_PRICE_FACTOR": "0.5",
        "WEIR_BATCH_TRIES": "4",
        "WEIR_BATCH_PAUSE_SECONDS": "0.2",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (api_environment | own).items():
            patch.setenv(name, value)
        yield BatchSettings()


@pytest.fixture
async def means(settings: BatchSettings, clock: Clock) -> AsyncIterator[Means]:
    async with open_means(settings, clock, logger("batch")) as opened:
        yield opened


@asynccontextmanager
async def working(means: Means, **fields: Any) -> AsyncIterator[QueueWorker]:
    """A worker at the queue; what goes wrong in it goes wrong here."""
    async with asyncio.TaskGroup() as tasks:
        worker = QueueWorker(means, **fields)
        tasks.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.stopping = True


async def create(sdk: openai.AsyncOpenAI, content: bytes, endpoint: Any = CHAT, **fields: Any) -> Batch:
    file = await sdk.files.create(file=("input.jsonl", content), purpose="batch")
    return await sdk.batches.create(
        input_file_id=file.id, endpoint=endpoint, completion_window="24h", **fields
    )


async def ended(sdk: openai.AsyncOpenAI, batch: Batch) -> Batch:
    async with asyncio.timeout(40):
        while batch.status in ("validating", "in_progress", "finalizing", "cancelling"):
            await asyncio.sleep(0.05)
            batch = await sdk.batches.retrieve(batch.id)
    return batch


async def lines_in(sdk: openai.AsyncOpenAI, file_id: str | None) -> list[dict[str, Any]]:
    if file_id is None:
        return []
    content = await sdk.files.content(file_id)
    return [json.loads(line) for line in content.text.splitlines()]


def counts(batch: Batch) -> tuple[int, int, int]:
    assert batch.request_counts
    return batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed


async def test_a_batch_is_answered_in_order(member: Member, means: Means, provider: Provider) -> None:
    sdk = member.sdk
    lines = [chat_line(f"id-{n}", f"question {n}") for n in range(10)]
    async with working(means):
        batch = await create(sdk, jsonl(*lines), metadata={"for": "test"})
        assert (batch.status, batch.metadata) == ("validating", {"for": "test"})
        batch = await ended(sdk, batch)
    assert (batch.status, counts(batch), batch.error_file_id) == ("completed", (10, 10, 0), None)
    assert batch.output_file_id
    assert batch.in_progress_at
    assert batch.completed_at
    assert batch.model == "test-model"
    assert batch.usage
    assert batch.usage.to_dict() == {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 150,
    }
    output = await lines_in(sdk, batch.output_file_id)
    assert [line["custom_id"] for line in output] == [f"id-{n}" for n in range(10)]
    said = [line["response"]["body"]["choices"][0]["message"]["content"] for line in output]
    assert said == [f"You said: question {n}" for n in range(10)]
    assert {(line["response"]["status_code"], line["error"]) for line in output} == {(200, None)}
    assert [file.id async for file in sdk.files.list(purpose="batch_output")] == [batch.output_file_id]
    assert [found.id async for found in sdk.batches.list(limit=1)] == [batch.id]


async def test_lines_that_make_no_sense_are_named_and_the_rest_goes_on(member: Member, means: Means) -> None:
    sdk = member.sdk
    content = jsonl(
        chat_line("good", "hello"),
        chat_line("good", "again"),
        "{not json",
        "",
        {**chat_line("elsewhere", "x"), "url": "/v1/embeddings"},
        chat_line("streamed", "x", stream=True),
        chat_line("empty", "x", messages=[]),
        chat_line("unknown", "x", model="no-such-model"),
        {"custom_id": "short"},
        chat_line("last", "bye"),
    )
    async with working(means):
        batch = await ended(sdk, await create(sdk, content))
    assert (batch.status, counts(batch)) == ("completed", (9, 2, 7))
    assert [line["custom_id"] for line in await lines_in(sdk, batch.output_file_id)] == ["good", "last"]
    errors = await lines_in(sdk, batch.error_file_id)
    found = [(e["custom_id"], e["error"] and (e["error"]["code"], e["error"]["line"])) for e in errors]
    assert found == [
        ("good", ("duplicate_custom_id", 2)),
        (None, ("invalid_json_line", 3)),
        ("elsewhere", ("mismatched_url", 5)),
        ("streamed", ("invalid_request", 6)),
        ("empty", ("invalid_request", 7)),
        ("unknown", None),
        ("short", ("invalid_request", 9)),
    ]
    refused = errors[5]["response"]
    assert (refused["status_code"], refused["body"]["error"]["code"]) == (404, "model_not_found")
    assert batch.errors
    assert batch.errors.data
    assert [problem.line for problem in batch.errors.data] == [2, 3, 5, 6, 7, 9]


@pytest.mark.parametrize(
    ("content", "code"), [(b"\n\n", "empty_file"), (jsonl(*[{}] * 7), "too_many_requests")]
)
async def test_a_file_that_cannot_be_used_fails_the_batch(
    member: Member, means: Means, content: bytes, code: str
) -> None:
    means = replace(means, rules=replace(means.rules, line_limit=6))
    async with working(means):
        batch = await ended(member.sdk, await create(member.sdk, content))
    assert (batch.status, batch.output_file_id) == ("failed", None)
    assert batch.errors
    assert batch.errors.data
    assert [problem.code for problem in batch.errors.data] == [code]


async def test_embeddings(member: Member, means: Means) -> None:
    body = {"model": "test-embedding", "input": "some text"}
    line = {"custom_id": "e", "method": "POST", "url": "/v1/embeddings", "body": body}
    async with working(means):
        batch = await ended(member.sdk, await create(member.sdk, jsonl(line), "/v1/embeddings"))
    (output,) = await lines_in(member.sdk, batch.output_file_id)
    assert output["response"]["body"]["data"][0]["embedding"] == [0.0, 0.6, 0.8]


async def test_identical_lines_of_embeddings_cost_one_call_unless_it_fails(
    member: Member, means: Means, provider: Provider
) -> None:
    provider.whim = lambda text: web.json_response({"error": {}}, status=400) if text == "bad" else None
    texts = ["one", "two", "one", "bad", "two", "one", "bad", "one", "two"]
    lines = [
        {
            "custom_id": f"id-{n}",
            "method": "POST",
            "url": "/v1/embeddings",
            "body": {"model": "test-embedding", "input": text, "user": f"user-{n}"},
        }
        for n, text in enumerate(texts)
    ]
    async with working(means, twice=True):
        batch = await ended(member.sdk, await create(member.sdk, jsonl(*lines), "/v1/embeddings"))
    assert counts(batch) == (9, 7, 2)
    assert provider.asked == {"one": 1, "two": 1, "bad": 2}
    output = await lines_in(member.sdk, batch.output_file_id)
    assert [line["custom_id"] for line in output] == [f"id-{n}" for n in (0, 1, 2, 4, 5, 7, 8)]
    assert len({line["id"] for line in output}) == 7
    embedded = [line["response"]["body"]["data"][0]["embedding"] for line in output]
    assert embedded == [[0.0, 0.6, 0.8]] * 7


async def test_identical_lines_and_messages_that_come_twice_cost_one_call(
    member: Member, means: Means, provider: Provider
) -> None:
    lines = [chat_line(f"id-{n}", f"question {n % 3}") for n in range(12)]
    async with working(means, twice=True):
        batch = await ended(member.sdk, await create(member.sdk, jsonl(*lines)))
    assert counts(batch) == (12, 12, 0)
    assert provider.asked == {f"question {n}": 1 for n in range(3)}
    output = await lines_in(member.sdk, batch.output_file_id)
    assert [line["custom_id"] for line in output] == [f"id-{n}" for n in range(12)]


async def test_the_ledger_shows_the_discount_and_that_it_was_a_batch(
    member: Member, means: Means, api: Api
) -> None:
    await bodies(api.queues.usage)
    lines = [chat_line(f"id-{n}", "the same question") for n in range(3)]
    async with working(means):
        batch = await ended(member.sdk, await create(member.sdk, jsonl(*lines)))
    records = await usage(api)
    assert {(r.endpoint, r.key_id) for r in records} == {(f"{CHAT}#batch", member.key_id)}
    # 10 tokens at $1 and 5 at $2 a million are 20 micro-dollars, of which half.
    assert sorted(r.cost_microdollars for r in records) == [0, 0, 10]
    assert sorted(r.saved_microdollars for r in records) == [0, 10, 10]
    output = await lines_in(member.sdk, batch.output_file_id)
    assert {line["response"]["request_id"] for line in output} == {r.request_id for r in records}


async def usage(api: Api) -> list[UsageRecord]:
    batches = [UsageBatch.model_validate_json(body) for body in await bodies(api.queues.usage)]
    return [record for batch in batches for record in batch.records]


async def test_cancelling_keeps_what_is_done(member: Member, means: Means, provider: Provider) -> None:
    sdk = member.sdk
    lines = [chat_line(f"id-{n}", f"question {n}") for n in range(40)]
    provider.hold.clear()
    async with working(means):
        batch = await create(sdk, jsonl(*lines))
        await provider.until_asked(4)
        batch = await sdk.batches.cancel(batch.id)
        assert (batch.status, batch.output_file_id) == ("cancelling", None)
        await asyncio.sleep(means.rules.lease.total_seconds() / 2)
        provider.hold.set()
        batch = await ended(sdk, batch)
    assert batch.status == "cancelled"
    output, errors = await lines_in(sdk, batch.output_file_id), await lines_in(sdk, batch.error_file_id)
    # What was under way is paid for, and kept.
    assert {line["custom_id"] for line in output} == {f"id-{n.split()[1]}" for n in provider.asked}
    assert {line["error"]["code"] for line in errors} == {"batch_cancelled"}
    assert len(output) + len(errors) == 40
    with pytest.raises(openai.ConflictError):
        await sdk.batches.cancel(batch.id)


async def test_a_batch_that_is_cancelled_before_it_is_read_asks_nothing(
    member: Member, means: Means, provider: Provider
) -> None:
    batch = await create(member.sdk, jsonl(chat_line("a", "never asked")))
    batch = await member.sdk.batches.cancel(batch.id)
    async with working(means):
        batch = await ended(member.sdk, batch)
    assert (batch.status, batch.output_file_id, batch.error_file_id) == ("cancelled", None, None)
    assert not provider.asked


async def test_live_requests_keep_their_limits_and_batches_have_their_own(
    api: Api, member: Member, means: Means, provider: Provider
) -> None:
    async with api.services.database.tenant(member.tenant_id) as connection:
        await connection.execute("UPDATE api_keys SET requests_per_minute = 1")
    lines = [chat_line(f"id-{n}", f"question {n}") for n in range(8)]
    limited = replace(means, rules=replace(means.rules, own_limits=Limits(requests_per_minute=5)))
    async with working(limited):
        batch = await create(member.sdk, jsonl(*lines))
        await paused(limited, member, batch.id, times=1)
        assert provider.asked.total() == 5
        await member.sdk.batches.cancel(batch.id)
        batch = await ended(member.sdk, batch)
    assert counts(batch) == (8, 5, 0)


async def test_a_batch_that_expires_ends_in_order_with_what_it_has(
    member: Member, means: Means, provider: Provider, clock: Clock
) -> None:
    sdk = member.sdk
    lines = [chat_line(f"id-{n}", f"question {n}") for n in range(6)]
    provider.whim = lambda question: _limited() if question == "question 3" else None
    async with working(means):
        batch = await create(sdk, jsonl(*lines))
        async with asyncio.timeout(30):
            while counts(batch)[1] < 5:
                await asyncio.sleep(0.05)
                batch = await sdk.batches.retrieve(batch.id)
        assert batch.status == "in_progress"
        clock.ahead = timedelta(hours=25)
        # As cleanup does; else the line's own message would tell in a moment.
        await means.send([AdvanceBatch(tenant_id=member.tenant_id, batch_id=batch.id)])
        batch = await ended(sdk, batch)
    assert (batch.status, counts(batch)) == ("expired", (6, 5, 0))
    assert batch.expired_at
    (error,) = await lines_in(sdk, batch.error_file_id)
    assert (error["custom_id"], error["error"]["code"]) == ("id-3", "batch_expired")
    assert [line["custom_id"] for line in await lines_in(sdk, batch.output_file_id)] == [
        "id-0",
        "id-1",
        "id-2",
        "id-4",
        "id-5",
    ]


def _limited() -> web.Response:
    return web.json_response({"error": {"message": "slow down"}}, status=429, headers={"retry-after": "3"})


async def test_a_batch_waits_for_a_provider_that_is_gone(
    member: Member, means: Means, provider: Provider
) -> None:
    """Nothing but a few calls are made while it is gone, and no line is lost by it."""
    sdk = member.sdk
    lines = [chat_line(f"id-{n}", f"question {n}") for n in range(30)]
    provider.whim = lambda question: web.Response(status=503)
    async with working(means):
        batch = await create(sdk, jsonl(*lines))
        await paused(means, member, batch.id, times=2)
        while_gone = provider.asked.total()
        provider.whim = lambda question: None
        batch = await ended(sdk, batch)
    assert (batch.status, counts(batch)) == ("completed", (30, 30, 0))
    assert while_gone <= 2 * 2 * 16


async def paused(means: Means, member: Member, batch_id: str, *, times: int) -> None:
    statement = "SELECT 1 FROM batches WHERE batch_id = %s AND pauses >= %s"
    async with asyncio.timeout(30):
        while True:
            async with means.database.tenant(member.tenant_id) as connection:
                if (await connection.execute(statement, (batch_id, times))).rowcount:
                    return
            await asyncio.sleep(0.05)


async def test_a_line_that_a_provider_always_breaks_on_fails_alone(
    member: Member, means: Means, provider: Provider
) -> None:
    provider.whim = lambda question: web.Response(status=500) if question == "poison" else None
    lines = [chat_line("a", "fine"), chat_line("b", "poison"), chat_line("c", "fine too")]
    async with working(means):
        batch = await ended(member.sdk, await create(member.sdk, jsonl(*lines)))
    assert (batch.status, counts(batch)) == ("completed", (3, 2, 1))
    (error,) = await lines_in(member.sdk, batch.error_file_id)
    assert (error["custom_id"], error["response"]["status_code"]) == ("b", 502)


async def test_a_revoked_key_ends_its_batches(
    member: Member, means: Means, new_member: NewMember, provider: Provider
) -> None:
    admin = await new_member("admin", member.tenant_id)
    batch = await create(member.sdk, jsonl(chat_line("a", "never asked")))
    await admin.sdk.delete(f"/keys/{member.key_id}", cast_to=object)
    async with working(means):
        batch = await ended(admin.sdk, await admin.sdk.batches.retrieve(batch.id))
    assert batch.status == "cancelled"
    assert batch.errors
    assert batch.errors.data
    assert [problem.code for problem in batch.errors.data] == ["key_revoked"]
    assert not provider.asked


async def test_an_input_that_is_deleted_ends_the_batch(
    member: Member, means: Means, provider: Provider
) -> None:
    batch = await create(member.sdk, jsonl(chat_line("a", "never asked")))
    await member.sdk.files.delete(batch.input_file_id)
    async with working(means):
        batch = await ended(member.sdk, batch)
    assert batch.status == "failed"
    assert batch.errors
    assert batch.errors.data
    assert [problem.code for problem in batch.errors.data] == ["input_file_gone"]


async def test_a_file_may_be_sent_straight_to_storage(member: Member, means: Means) -> None:
    content = jsonl(chat_line("a", "hello"))
    wanted = {"filename": "input.jsonl", "purpose": "batch", "bytes": len(content)}
    file = await member.sdk.post("/files", body=wanted, cast_to=openai.types.FileObject)
    ask: Any = {"input_file_id": file.id, "endpoint": CHAT, "completion_window": "24h"}
    with pytest.raises(openai.ConflictError):
        await member.sdk.batches.create(**ask)
    target = file.model_extra["weir"]["upload"] if file.model_extra else {}
    async with ClientSession() as http:
        await http.put(target["url"], data=content, headers=target["headers"], raise_for_status=True)
    async with working(means):
        batch = await ended(member.sdk, await member.sdk.batches.create(**ask))
    assert counts(batch) == (1, 1, 0)


async def test_cleanup_finds_what_lost_its_message_and_forgets_what_is_old(
    member: Member, means: Means, clock: Clock
) -> None:
    database, queue, tenant_id = means.database, means.queue, member.tenant_id

    async def lose_and_resend() -> int:
        await bodies(queue.url)
        later, idle = clock() + timedelta(hours=1), timedelta(minutes=30)
        return await resend_batches(database, queue, tenant_id, now=later, idle=idle, limit=10)

    batch = await create(member.sdk, jsonl(chat_line("a", "hello")))
    assert await lose_and_resend() == 1
    await QueueWorker(means).once()
    # The file is split; what asks its only chunk is lost too.
    assert await lose_and_resend() == 2
    async with working(means):
        batch = await ended(member.sdk, batch)
    assert batch.status == "completed"
    assert await lose_and_resend() == 0
    now = clock()
    assert await delete_ended_batches(database, tenant_id, before=now - timedelta(days=1), limit=10) == 0
    assert await delete_ended_batches(database, tenant_id, before=now, limit=10) == 1
    with pytest.raises(openai.NotFoundError):
        await member.sdk.batches.retrieve(batch.id)
    assert len(await lines_in(member.sdk, batch.output_file_id)) == 1


async def test_tenants_do_not_see_each_others_batches(new_member: NewMember) -> None:
    one, other = await new_member(), await new_member()
    batch = await create(one.sdk, jsonl(chat_line("a", "x")))
    with pytest.raises(openai.NotFoundError):
        await other.sdk.batches.retrieve(batch.id)
    with pytest.raises(openai.NotFoundError):
        await other.sdk.batches.cancel(batch.id)
    assert [found.id async for found in other.sdk.batches.list()] == []
    with pytest.raises(openai.NotFoundError):
        await other.sdk.batches.create(
            input_file_id=batch.input_file_id, endpoint=CHAT, completion_window="24h"
        )


async def test_what_makes_no_sense_is_refused(member: Member) -> None:
    sdk = member.sdk
    file = await sdk.files.create(file=("notes.txt", b"x"), purpose="assistants")
    with pytest.raises(openai.BadRequestError, match="upload it as 'batch'"):
        await sdk.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
    with pytest.raises(openai.BadRequestError):
        await sdk.batches.create(input_file_id=file.id, endpoint="/v1/responses", completion_window="24h")
    with pytest.raises(openai.NotFoundError):
        await sdk.batches.retrieve("batch_nothing")
