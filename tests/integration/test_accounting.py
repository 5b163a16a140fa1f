"""Usage messages through the accounting handler into the real ledger, and the report over it."""

import asyncio
import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.ledger.records import record_usage
from shared.ledger.report import usage_by_day
from shared.ledger.usage import UsageBatch, UsageRecord
from shared.postgres.database import Connection, Database
from tests.loading import Context, fresh_handler

EVENTS = Path(__file__).parents[2] / "events"
DAY = datetime(2026, 11, 23, tzinfo=UTC)

Handle = Callable[[dict[str, Any], object], dict[str, Any]]


@pytest.fixture
def handle(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Handle]:
    monkeypatch.setenv("WEIR_DATABASE_SECRET", "env:LEDGER_URL")
    monkeypatch.setenv("LEDGER_URL", database_url)
    with fresh_handler("accounting") as handler:
        yield handler.handle


def usage(tenant_id: str, **change: object) -> UsageRecord:
    fields: dict[str, object] = {
        "tenant_id": tenant_id,
        "request_id": f"req_{uuid.uuid4().hex}",
        "key_id": "key_1",
        "endpoint": "chat.completions",
        "model": "deepseek-flash",
        "provider": "deepseek",
        "prompt_tokens": 100,
        "cached_tokens": 60,
        "completion_tokens": 20,
        "reasoning_tokens": 5,
        "cost_microdollars": 18,
        "cache_outcome": "miss",
        "outcome": "completed",
        "duration_ms": 900,
        "created_at": DAY,
    }
    return UsageRecord.model_validate(fields | change)


def message(*records: UsageRecord) -> str:
    return UsageBatch(records=records).model_dump_json()


def event(*bodies: str) -> dict[str, Any]:
    template = json.loads((EVENTS / "sqs-usage.json").read_text())["Records"][0]
    return {"Records": [template | {"messageId": f"m{i}", "body": body} for i, body in enumerate(bodies)]}


def failed(answer: dict[str, Any]) -> set[str]:
    return {item["itemIdentifier"] for item in answer["batchItemFailures"]}


async def ledger(connection: Connection) -> list[dict[str, Any]]:
    cursor = await connection.execute("SELECT * FROM usage_records ORDER BY request_id")
    return await cursor.fetchall()


async def test_a_record_comes_back_from_the_ledger_as_it_went_in(database: Database, tenant_id: str) -> None:
    record = usage(tenant_id, cost_microdollars=2**63 - 1, first_token_ms=310, estimated=True)
    async with database.tenant(tenant_id) as connection:
        assert await record_usage(connection, record) == 1
        (row,) = await ledger(connection)
    assert UsageRecord.model_validate(row) == record


async def test_a_record_is_booked_once_and_never_changed(database: Database, tenant_id: str) -> None:
    record = usage(tenant_id)
    async with database.tenant(tenant_id) as connection:
        assert await record_usage(connection, record, record) == 1
    async with database.tenant(tenant_id) as connection:
        assert await record_usage(connection, record.model_copy(update={"cost_microdollars": 999})) == 0
        assert [row["cost_microdollars"] for row in await ledger(connection)] == [18]


async def test_nobody_books_for_another_tenant(database: Database, tenant_id: str) -> None:
    from psycopg.errors import InsufficientPrivilege

    with pytest.raises(InsufficientPrivilege, match="row-level security"):
        async with database.tenant(tenant_id) as connection:
            await record_usage(connection, usage("someone-else"))


def test_the_example_event_is_booked(handle: Handle, capsys: pytest.CaptureFixture[str]) -> None:
    answer = handle(json.loads((EVENTS / "sqs-usage.json").read_text()), Context())
    assert answer == {"batchItemFailures": []}
    metric = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert metric["UsageRecorded"][0] + metric["UsageRepeated"][0] == 2
    assert metric["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Weir"


async def test_duplicates_within_and_across_batches_are_booked_once(
    handle: Handle, database: Database, tenant_id: str
) -> None:
    first, second = usage(tenant_id), usage(tenant_id)
    batch = event(message(first, second), message(first))
    for _ in range(2):
        assert await asyncio.to_thread(handle, batch, Context()) == {"batchItemFailures": []}
    async with database.tenant(tenant_id) as connection:
        assert len(await ledger(connection)) == 2


async def test_a_malformed_message_fails_alone_and_its_content_stays_out_of_the_log(
    handle: Handle,
    database: Database,
    tenant_id: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = usage(tenant_id)
    fields = json.loads(good.model_dump_json()) | {"request_id": "r", "prompt_tokens": "secret-words"}
    wrong = {"records": [fields]}
    batch = event(message(good), "not json", json.dumps(wrong), json.dumps({"tenant_id": tenant_id}))
    assert failed(await asyncio.to_thread(handle, batch, Context())) == {"m1", "m2", "m3"}
    async with database.tenant(tenant_id) as connection:
        assert [row["request_id"] for row in await ledger(connection)] == [good.request_id]
    logged = [vars(record) for record in caplog.records]
    assert any("prompt_tokens: Input should be a valid integer" in entry["reason"] for entry in logged)
    assert "secret-words" not in repr(logged)


async def test_a_batch_of_many_tenants_is_booked_for_each(
    handle: Handle, database: Database, tenant_id: str
) -> None:
    other = f"{tenant_id}_b"
    batch = event(message(usage(tenant_id), usage(other)), message(usage(tenant_id)))
    assert await asyncio.to_thread(handle, batch, Context()) == {"batchItemFailures": []}
    for name, count in ((tenant_id, 2), (other, 1)):
        async with database.tenant(name) as connection:
            assert len(await ledger(connection)) == count


def test_without_a_database_the_whole_batch_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIR_DATABASE_SECRET", "env:LEDGER_URL")
    monkeypatch.setenv("LEDGER_URL", "postgresql://weir@127.0.0.1:1/weir?connect_timeout=1")
    with fresh_handler("accounting") as handler:
        batch = event(message(usage("a")), message(usage("b")), "not json")
        assert failed(handler.handle(batch, Context())) == {"m0", "m1", "m2"}


async def test_the_report_sums_by_utc_day_model_and_key(database: Database, tenant_id: str) -> None:
    late = DAY - timedelta(milliseconds=1)
    records = [
        usage(tenant_id),
        usage(tenant_id, cache_outcome="hit", cost_microdollars=0),
        usage(tenant_id, model="deepseek-v4-pro", key_id="key_2", cache_outcome="joined"),
        usage(tenant_id, created_at=late),
        usage(tenant_id, created_at=DAY + timedelta(days=1)),  # outside: `until` is exclusive
    ]
    async with database.tenant(tenant_id) as connection:
        await record_usage(connection, *records)
        span = {"since": late, "until": DAY + timedelta(days=1)}
        by_day = await usage_by_day(connection, **span)
        in_detail = await usage_by_day(connection, **span, group_by=["model", "key_id"])
    assert [(row.day, row.requests, row.cache_hits) for row in by_day] == [
        (date(2026, 11, 22), 1, 0),
        (date(2026, 11, 23), 3, 2),
    ]
    assert (by_day[1].prompt_tokens, by_day[1].cached_tokens, by_day[1].completion_tokens) == (300, 180, 60)
    assert (by_day[1].cost_microdollars, by_day[1].reasoning_tokens) == (36, 15)
    assert (by_day[1].model, by_day[1].key_id) == (None, None)
    assert [(row.model, row.key_id, row.requests) for row in in_detail[1:]] == [
        ("deepseek-flash", "key_1", 2),
        ("deepseek-v4-pro", "key_2", 1),
    ]


async def test_a_report_shows_no_other_tenant(database: Database, tenant_id: str) -> None:
    async with database.tenant(f"{tenant_id}_b") as connection:
        await record_usage(connection, usage(f"{tenant_id}_b"))
    async with database.tenant(tenant_id) as connection:
        assert await usage_by_day(connection, since=DAY - timedelta(1), until=DAY + timedelta(1)) == []
