"""What the components keep over a restart, and how they start after a crash and at awkward places."""

import asyncio
import json
import os
import signal
import urllib.request
from pathlib import Path

import psycopg
import pytest
from redis.asyncio import Redis

from local.components.cloud import start_cloud
from local.components.postgres import start_postgres
from local.components.storage import Deployment
from local.components.valkey import start_valkey
from local.process import Launcher, LocalError
from shared.aws.clients import call


@pytest.fixture
def place(data: Path, request: pytest.FixtureRequest) -> Path:
    """A directory for this test alone."""
    made = data / request.node.name
    made.mkdir()
    return made


async def test_postgres_starts_after_a_crash_with_its_data(place: Path) -> None:
    async with Launcher(place / "logs") as launcher:
        urls = await start_postgres(place / "pg", launcher)
        async with await psycopg.AsyncConnection.connect(urls.owner) as connection:
            await connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
        os.kill(_postmaster(place / "pg"), signal.SIGKILL)
    # The number in the stale lock may belong to anyone by now: here, to this very process.
    lock = place / "pg" / "postmaster.pid"
    lock.write_text(lock.read_text().replace(lock.read_text().split()[0], str(os.getpid()), 1))
    async with Launcher(place / "logs") as launcher:
        urls = await start_postgres(place / "pg", launcher)
        async with await psycopg.AsyncConnection.connect(urls.owner) as connection:
            assert await (await connection.execute("SELECT n FROM kept")).fetchone() == (7,)


async def test_postgres_refuses_a_second_server_on_its_data(place: Path) -> None:
    async with Launcher(place / "logs") as launcher:
        await start_postgres(place / "pg", launcher, durable=False)
        with pytest.raises(LocalError, match="already running"):
            await start_postgres(place / "pg", launcher, durable=False)


async def test_postgres_refuses_data_that_it_cannot_use(place: Path) -> None:
    (place / "pg").mkdir()
    (place / "pg" / "PG_VERSION").write_text("16\n")
    async with Launcher(place / "logs") as launcher:
        with pytest.raises(LocalError, match=r"password is gone: move .* away"):
            await start_postgres(place / "pg", launcher)
        (place / "pg.password").write_text("secret")
        with pytest.raises(LocalError, match="PostgreSQL 16"):
            await start_postgres(place / "pg", launcher)


async def test_postgres_starts_below_a_long_and_private_path(place: Path) -> None:
    deep = place / ("long-" * 30) / "with space and 'quote'"
    deep.mkdir(parents=True)
    deep.parent.chmod(0o700)
    async with Launcher(place / "logs") as launcher:
        urls = await start_postgres(deep / "pg", launcher, durable=False)
        async with await psycopg.AsyncConnection.connect(urls.login) as connection:
            assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
    assert deep.parent.stat().st_mode & 0o777 == 0o700


async def test_valkey_keeps_what_it_held(place: Path) -> None:
    async with Launcher(place / "logs") as launcher:
        url = await start_valkey(place / "valkey", launcher)
        async with Redis.from_url(url) as valkey:
            await valkey.set("greeting", "hello")
    async with Launcher(place / "logs") as launcher:
        url = await start_valkey(place / "valkey", launcher)
        async with Redis.from_url(url) as valkey:
            assert await valkey.get("greeting") == b"hello"


async def test_objects_messages_and_secrets_are_kept(place: Path) -> None:
    async with Launcher(place / "logs") as launcher:
        first = Deployment(await start_cloud(place / "cloud", launcher))
        queues = await _provision(first)
        await call(first._s3.put_object, Bucket="kept", Key="a.txt", Body=b"hello")
        await call(first._sqs.send_message, QueueUrl=queues, MessageBody="waiting")
        await first.secret("weir/database", "one")
    async with Launcher(place / "logs") as launcher:
        second = Deployment(await start_cloud(place / "cloud", launcher))
        queues = await _provision(second)
        await second.secret("weir/database", "two")
        secret = await call(second._secrets.get_secret_value, SecretId="weir/database")
        stored = await call(second._s3.get_object, Bucket="kept", Key="a.txt")
        assert secret["SecretString"] == "two"
        assert await call(stored["Body"].read) == b"hello"
        assert "waiting" in await _bodies(second, queues)


async def test_an_upload_by_presigned_url_notifies_the_queue(place: Path) -> None:
    async with Launcher(place / "logs") as launcher:
        made = Deployment(await start_cloud(place / "cloud", launcher))
        queue = await _provision(made)
        assert await asyncio.to_thread(_upload_as_a_page_does, made) == (200, "*", 200)
        events = [json.loads(body) for body in await _bodies(made, queue)]
    created = [record["s3"] for event in events for record in event.get("Records", [])]
    assert [(s3["object"]["key"], s3["object"]["size"]) for s3 in created] == [("t/files/f/a+b.txt", 5)]


def _upload_as_a_page_does(made: Deployment) -> tuple[int, str | None, int]:
    """Preflight, then PUT: their statuses, and the origin that the preflight allows."""
    where = {"Bucket": "kept", "Key": "t/files/f/a b.txt", "ContentType": "text/plain"}
    url = made._s3.generate_presigned_url("put_object", Params=where, ExpiresIn=60)
    asked = {"Origin": "http://127.0.0.1:8000", "Access-Control-Request-Method": "PUT"}
    preflight = urllib.request.Request(url, method="OPTIONS", headers=asked)
    put = urllib.request.Request(url, b"hello", {"Content-Type": "text/plain"}, method="PUT")
    with urllib.request.urlopen(preflight) as allowed, urllib.request.urlopen(put) as stored:
        return allowed.status, allowed.headers["Access-Control-Allow-Origin"], stored.status


async def _provision(made: Deployment) -> str:
    """What every start does: the second time, all of it is there already."""
    await made.bucket("kept")
    queues = await made.queues("kept")
    await made.notify("kept", queues.ingestion)
    return queues.ingestion


async def _bodies(made: Deployment, queue: str) -> list[str]:
    bodies: list[str] = []
    while True:
        answer = await call(
            made._sqs.receive_message, QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1
        )
        if not answer.get("Messages"):
            return bodies
        bodies += [message["Body"] for message in answer["Messages"]]


def _postmaster(directory: Path) -> int:
    return int((directory / "postmaster.pid").read_text().split()[0])
