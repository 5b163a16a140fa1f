"""Flights when Valkey is killed or stands still: the leader hears nothing of it, a follower is told."""

import asyncio
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from local.components.valkey import start_valkey
from local.process import Launcher
from shared.cache.flights import FlightKey, Flights, Lead, LogBatch, LogGone, LogItem, LogWriter
from shared.valkey.client import Valkey


class _Server:
    """A Valkey of this test's own, to kill."""

    def __init__(self, url: str, pid: int, *, cluster: bool) -> None:
        self.pid = pid
        self.valkey = Valkey(url, cluster=cluster, timeout_ms=50)

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)


@pytest.fixture(params=["plain", "cluster"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[_Server]:
    cluster = request.param == "cluster"
    async with Launcher(tmp_path / "logs") as launcher:
        url = await start_valkey(tmp_path / "valkey", launcher, cluster=cluster)
        client = Redis.from_url(url)
        pid = (await client.info("server"))["process_id"]
        await client.aclose()
        running = _Server(url, pid, cluster=cluster)
        await running.valkey.connect()
        yield running
        await running.valkey.close()


def _key() -> FlightKey:
    return FlightKey("tenant", uuid.uuid4().hex)


async def _lead(flights: Flights, key: FlightKey) -> LogWriter:
    boarded = await flights.board(key, uuid.uuid4().hex, recall=True)
    assert isinstance(boarded, Lead)
    return boarded.writer


def _chunk(index: int) -> LogItem:
    return LogItem("chunk", index, b"%d" % index)


async def _read(reading: AsyncIterator[LogBatch], log: asyncio.Queue[LogItem]) -> None:
    async for batch in reading:
        for item in batch:
            log.put_nowait(item)


async def _first_read(writer: LogWriter, log: asyncio.Queue[LogItem]) -> None:
    writer.add([_chunk(1)])
    assert await writer.committed()
    assert await log.get() == _chunk(1)


async def test_a_killed_valkey_costs_the_leader_one_pause_and_the_followers_the_log(server: _Server) -> None:
    flights, key = Flights(server.valkey), _key()
    writer = await _lead(flights, key)
    log: asyncio.Queue[LogItem] = asyncio.Queue()
    reading = asyncio.create_task(_read(flights.follow(key, writer.flight_id), log))
    await _first_read(writer, log)
    server.send(signal.SIGKILL)
    began = time.monotonic()
    for index in range(2, 200):
        writer.add([_chunk(index)])
        assert not await writer.committed() or index < 4
    assert not await writer.finish("completed")
    assert time.monotonic() - began < 1
    with pytest.raises(LogGone):
        await reading
    assert await flights.board(key, "another", recall=True) is None
    assert await flights.open(key, "another") is None
    assert await flights.take_over(key, writer.flight_id) is None
    assert await flights.locate(key.tenant_id, "answer") is None
    with pytest.raises(LogGone):
        await _read(flights.follow(key, "another"), asyncio.Queue())


async def test_a_valkey_that_stood_still_for_a_moment_loses_nothing(server: _Server) -> None:
    flights, key = Flights(server.valkey), _key()
    writer = await _lead(flights, key)
    log: asyncio.Queue[LogItem] = asyncio.Queue()
    reading = asyncio.create_task(_read(flights.follow(key, writer.flight_id), log))
    await _first_read(writer, log)
    server.send(signal.SIGSTOP)
    writer.add([_chunk(2)])
    began = time.monotonic()
    assert not await writer.committed()
    assert time.monotonic() - began < 0.5
    server.send(signal.SIGCONT)
    writer.add([_chunk(3)])
    async with asyncio.timeout(10):
        # The writer tries again by itself, in step with its lease.
        assert [await log.get(), await log.get()] == [_chunk(2), _chunk(3)]
        assert await writer.finish("completed")
        await reading
    assert log.get_nowait().kind == "end"
