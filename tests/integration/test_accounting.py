"""Usage messages through the accounting handler into the real ledger, and the report over it."""

import asyncio
import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from shared.errors import NotFoundError
from shared.ledger.records import find_usage, record_usage
from shared.ledger.report import usage_by_day
from shared.ledger.usage import Leg, UsageBatch, UsageRecord, total_of
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
        assert await record_usage(connection, record) == (record,)
        (row,) = await ledger(connection)
    assert UsageRecord.model_validate(row) == record


async def test_a_record_is_booked_once_and_never_changed(database: Database, tenant_id: str) -> None:
    record = usage(tenant_id)
    async with database.tenant(tenant_id) as connection:
        changed = record.model_copy(update={"cost_microdollars": 7})
        assert await record_usage(connection, record, changed) == (record,)
    async with database.tenant(tenant_id) as connection:
        assert await record_usage(connection, changed) == ()
        assert [row["cost_microdollars"] for row in await ledger(connection)] == [18]


def with_legs(tenant_id: str, **change: object) -> UsageRecord:
    legs = (
        leg(outcome="failed", failure="timeout", provider="slow"),
        leg(outcome="hedged", prompt_tokens=100, cost_microdollars=3),
        leg(prompt_tokens=100, cached_tokens=60, completion_tokens=20, cost_microdollars=18),
    )
    return usage(tenant_id, **{**total_of(legs).model_dump(), "legs": legs, **change})


def leg(**change: object) -> Leg:
    fields: dict[str, object] = {"provider": "deepseek", "model": "deepseek-flash", "outcome": "completed"}
    return Leg.model_validate(fields | change)


async def test_legs_and_savings_come_back_as_they_went_in(database: Database, tenant_id: str) -> None:
    paid = with_legs(tenant_id)
    spared = usage(tenant_id, cache_outcome="hit", cost_microdollars=0, saved_microdollars=18)
    async with database.tenant(tenant_id) as connection:
        assert set(await record_usage(connection, paid, spared)) == {paid, spared}
        assert await find_usage(connection, paid.request_id) == paid
        assert await find_usage(connection, spared.request_id, only_key="key_1") == spared
        with pytest.raises(NotFoundError, match="seconds after its end"):
            await find_usage(connection, paid.request_id, only_key="key_2")
    async with database.tenant(f"{tenant_id}_b") as connection:
        with pytest.raises(NotFoundError):
            await find_usage(connection, paid.request_id)


async def test_the_release_before_goes_on_writing(database: Database, tenant_id: str) -> None:
    old = [name for name in UsageRecord.model_fields if name not in ("legs", "saved_microdollars")]
    columns = sql.SQL(", ").join(map(sql.Identifier, old))
    statement = sql.SQL(
        "INSERT INTO usage_records ({0}) SELECT {0}"
        " FROM jsonb_populate_recordset(NULL::usage_records, %s) ON CONFLICT DO NOTHING"
    )
    record = usage(tenant_id)
    message = record.model_dump(mode="json", include=set(old))
    async with database.tenant(tenant_id) as connection:
        await connection.execute(statement.format(columns), (Jsonb([message]),))
        assert await find_usage(connection, record.request_id) == record


async def test_concurrent_duplicates_are_one_row_and_new_once(database: Database, tenant_id: str) -> None:
    records = [with_legs(tenant_id) for _ in range(40)]

    async def book(order: Sequence[UsageRecord]) -> tuple[UsageRecord, ...]:
        async with database.tenant(tenant_id) as connection:
            return await record_usage(connection, *order)

    orders = [records, records[::-1], records + records, records[20:] + records[:20]]
    new = [record for booked in await asyncio.gather(*map(book, orders * 3)) for record in booked]
    assert sorted(record.request_id for record in new) == sorted(record.request_id for record in records)
    async with database.tenant(tenant_id) as connection:
        rows = await ledger(connection)
    assert len(rows) == len(records)
    assert sum(row["cost_microdollars"] for row in rows) == 21 * len(records)
    assert {len(row["legs"]) for row in rows} == {3}


async def test_batches_in_each_others_order_do_not_lock_up(database: Database, tenant_id: str) -> None:
    first, second = sorted((usage(tenant_id), usage(tenant_id)), key=lambda record: record.request_id)

    async def book_backwards() -> tuple[UsageRecord, ...]:
        async with database.tenant(tenant_id) as connection:
            return await record_usage(connection, second, first)

    async with database.tenant(tenant_id) as connection:
        await record_usage(connection, first)
        other = asyncio.create_task(book_backwards())
        waiting = "SELECT count(*) AS n FROM pg_locks WHERE NOT granted"
        while not (row := await (await connection.execute(waiting)).fetchone()) or not row["n"]:
            assert not other.done(), "the other transaction has to wait for this one"
        assert await record_usage(connection, second) == (second,)
    assert await other == ()


async def test_metrics_count_each_request_once(
    handle: Handle, tenant_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record = with_legs(tenant_id, created_at=datetime.now(UTC), model=tenant_id)
    for _ in range(2):
        batch = event(message(record, record), message(record))
        assert await asyncio.to_thread(handle, batch, Context()) == {"batchItemFailures": []}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["CostMicrodollars"] for line in lines if line.get("model") == tenant_id] == [[21]]
    assert [line["UpstreamFailures"] for line in lines if "failure" in line] == [[1]]
    assert [line["UsageRecorded"] for line in lines if "UsageRecorded" in line] == [[1], [0]]


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
        usage(tenant_id, cache_outcome="hit", cost_microdollars=0, saved_microdollars=18),
        usage(tenant_id, model="deepseek-v4-pro", key_id="key_2", cache_outcome="joined"),
        usage(tenant_id, created_at=late, outcome="failed"),
        usage(tenant_id, created_at=DAY + timedelta(days=1)),  # outside: `until` is exclusive
    ]
    async with database.tenant(tenant_id) as connection:
        await record_usage(connection, *records)
        span = {"since": late, "until": DAY + timedelta(days=1)}
        by_day = await usage_by_day(connection, **span)
        in_detail = await usage_by_day(connection, **span, group_by=["model", "key_id"])
        by_cache = await usage_by_day(connection, **span, group_by=["cache_outcome", "provider"])
    assert [(row.day, row.requests, row.cache_hits) for row in by_day] == [
        (date(2026, 11, 22), 1, 0),
        (date(2026, 11, 23), 3, 2),
    ]
    assert (by_day[1].prompt_tokens, by_day[1].cached_tokens, by_day[1].completion_tokens) == (300, 180, 60)
    assert (by_day[1].cost_microdollars, by_day[1].reasoning_tokens) == (36, 15)
    assert (by_day[1].model, by_day[1].key_id, by_day[1].cache_outcome) == (None, None, None)
    assert [(row.failures, row.saved_microdollars) for row in by_day] == [(1, 0), (0, 18)]
    assert [(row.cache_outcome, row.provider, row.requests, row.saved_microdollars) for row in by_cache] == [
        ("miss", "deepseek", 1, 0),
        ("hit", "deepseek", 1, 18),
        ("joined", "deepseek", 1, 0),
        ("miss", "deepseek", 1, 0),
    ]
    assert [(row.model, row.key_id, row.requests) for row in in_detail[1:]] == [
        ("deepseek-flash", "key_1", 2),
        ("deepseek-v4-pro", "key_2", 1),
    ]


async def test_a_report_shows_no_other_tenant(database: Database, tenant_id: str) -> None:
    async with database.tenant(f"{tenant_id}_b") as connection:
        await record_usage(connection, usage(f"{tenant_id}_b"))
    async with database.tenant(tenant_id) as connection:
        assert await usage_by_day(connection, since=DAY - timedelta(1), until=DAY + timedelta(1)) == []
