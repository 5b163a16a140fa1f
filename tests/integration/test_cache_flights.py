"""Single flight and the log of an answer, on a plain Valkey and on a cluster."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import orjson
import pytest
from redis.asyncio import Redis

from shared.cache.entry import Entry
from shared.cache.flights import (
    FlightKey,
    FlightOptions,
    Flights,
    Follow,
    Hit,
    Lead,
    LeaderLost,
    Located,
    LogBatch,
    LogGone,
    LogItem,
    LogWriter,
)
from shared.cache.log_item import HEADER_BYTES
from shared.valkey.client import Valkey

R = TypeVar("R")

_NOW = datetime(2026, 11, 24, tzinfo=UTC)
_ENTRY = Entry(completion=b'{"id":"x"}', provider="p", model="m", stored_at=_NOW)
_HEAD = LogItem("head", 0, b'{"provider":"p","model":"m"}')

# Leads are given up fast in tests about that.
_SHORT = FlightOptions(lease_seconds=0.15, boarding_seconds=0.15)


@pytest.fixture
def flights(valkey: Valkey) -> Flights:
    return Flights(valkey)


@pytest.fixture
def hasty(valkey: Valkey) -> Flights:
    return Flights(valkey, _SHORT)


@pytest.fixture
def key() -> FlightKey:
    return FlightKey(f"tenant_{uuid.uuid4().hex}", uuid.uuid4().hex)


def _id() -> str:
    return uuid.uuid4().hex


def _chunk(index: int, size: int = 20) -> LogItem:
    return LogItem("chunk", index, b"%d:" % index + b"x" * size)


async def _lead(flights: Flights, key: FlightKey, flight_id: str | None = None) -> LogWriter:
    boarded = await flights.board(key, flight_id or _id(), recall=True)
    assert isinstance(boarded, Lead)
    return boarded.writer


async def _all(batches: AsyncIterator[LogBatch]) -> list[LogItem]:
    return [item async for batch in batches for item in batch]


def _outcome(items: Sequence[LogItem]) -> str:
    assert items[-1].kind == "end"
    return str(orjson.loads(items[-1].data)["outcome"])


async def _leader_is_lost(flights: Flights, writer: LogWriter) -> list[LogItem]:
    """Follow until the lease is out; what was read by then."""
    items: list[LogItem] = []

    async def read() -> None:
        async for batch in flights.follow(writer.key, writer.flight_id):
            items.extend(batch)

    with pytest.raises(LeaderLost):
        await read()
    return items


def _freeze(writer: LogWriter) -> None:
    """As if its process stood still: it renews nothing, and knows nothing of it."""
    writer._renewal.cancel()


async def test_of_twenty_one_leads_and_all_get_everything_in_order(flights: Flights, key: FlightKey) -> None:
    boarded = await asyncio.gather(*(flights.board(key, _id(), recall=True) for _ in range(20)))
    (writer,) = (b.writer for b in boarded if isinstance(b, Lead))
    followers = [b for b in boarded if isinstance(b, Follow)]
    assert len(followers) == 19
    assert {f.flight_id for f in followers} == {writer.flight_id}
    reads = [
        asyncio.create_task(_all(flights.follow(key, f.flight_id, reader_id=f.reader_id))) for f in followers
    ]
    said = [_HEAD, *(_chunk(index) for index in range(1, 301))]
    for start in range(0, len(said), 7):
        writer.add(said[start : start + 7])
        if start % 35 == 0:
            assert await writer.committed()
    assert writer.state.readers == 19
    assert await writer.finish("completed", entry=_ENTRY, ttl_seconds=60)
    for items in await asyncio.gather(*reads):
        assert items[:-1] == said
        assert items[-1] == LogItem("end", 301, b'{"outcome":"completed","error":null}')
    assert await flights.board(key, _id(), recall=True) == Hit(_ENTRY)


async def test_a_request_that_comes_again_by_its_name_begins_anew(flights: Flights, key: FlightKey) -> None:
    first = await _lead(flights, key, "request")
    for index in range(1, 4):
        first.add([_chunk(index)])
        assert await first.committed()
    second = await _lead(flights, key, "request")
    said = [_HEAD, _chunk(1, 30), _chunk(2, 30), _chunk(3, 30)]
    for item in said:
        second.add([item])
        assert await second.committed()
    first.add([_chunk(4)])
    assert not await first.committed()
    await first.abandon()
    assert await second.finish("completed")
    assert (await _all(flights.follow(key, "request")))[:-1] == said


async def test_an_entry_is_not_served_to_who_does_not_want_one(flights: Flights, key: FlightKey) -> None:
    await (await _lead(flights, key)).finish("completed", entry=_ENTRY)
    second = await flights.board(key, _id(), recall=False)
    assert isinstance(second, Lead)
    await second.writer.abandon()


async def test_an_entry_expires(flights: Flights, key: FlightKey, valkey: Valkey) -> None:
    await (await _lead(flights, key)).finish("completed", entry=_ENTRY, ttl_seconds=60)
    left = await valkey.attempt(lambda client: client.pttl(key.entry))
    assert left is not None
    assert 55_000 < left <= 60_000


async def test_an_entry_that_cannot_be_read_is_replaced(
    flights: Flights, key: FlightKey, valkey: Valkey
) -> None:
    await valkey.attempt(lambda client: client.set(key.entry, b"of another version", px=60_000))
    await (await _lead(flights, key)).finish("completed", entry=_ENTRY)
    assert await flights.board(key, _id(), recall=True) == Hit(_ENTRY)


async def test_without_an_entry_the_next_one_leads(flights: Flights, key: FlightKey) -> None:
    await (await _lead(flights, key)).finish("failed", "upstream gone")
    await (await _lead(flights, key)).abandon()


async def test_a_whole_answer_and_its_end_need_one_write(
    flights: Flights, key: FlightKey, valkey: Valkey
) -> None:
    writer = await _lead(flights, key)
    writer.add([_HEAD, LogItem("whole", 1, b"{}")])
    assert await writer.finish("completed", entry=_ENTRY)
    assert (
        await valkey.attempt(
            lambda client: client.xlen(f"log:{{{key.tenant_id}:{key.digest}}}:{writer.flight_id}")
        )
        == 1
    )
    items = await _all(flights.follow(key, writer.flight_id))
    assert [(item.kind, item.index) for item in items] == [("head", 0), ("whole", 1), ("end", 2)]


async def test_nothing_but_the_entry_stays_where_nobody_reads(
    flights: Flights, key: FlightKey, valkey: Valkey
) -> None:
    writer = await _lead(flights, key)
    writer.keep_body(b"{}")
    writer.add([_HEAD])
    assert await writer.committed()
    assert await writer.finish("completed", entry=_ENTRY, keep=False)
    with pytest.raises(LogGone):
        await _all(flights.follow(key, writer.flight_id))
    assert await _keys(valkey, key) == {key.entry.encode()}


async def test_the_log_stays_for_who_has_boarded(flights: Flights, key: FlightKey) -> None:
    writer = await _lead(flights, key)
    follower = await flights.board(key, _id(), recall=True)
    assert isinstance(follower, Follow)
    writer.add([_HEAD, _chunk(1)])
    assert await writer.finish("completed", keep=False)
    items = await _all(flights.follow(key, writer.flight_id, reader_id=follower.reader_id))
    assert items[:-1] == [_HEAD, _chunk(1)]


async def test_every_key_expires(flights: Flights, key: FlightKey, valkey: Valkey) -> None:
    writer = await _lead(flights, key)
    await flights.board(key, _id(), recall=True)
    writer.keep_body(b"{}")
    writer.add([_HEAD])
    assert await writer.committed()
    await flights.cancel(Located(key, writer.flight_id, "k"), "answer")
    for _ in range(2):
        names = await _keys(valkey, key)
        assert len(names) >= 3
        for name in names:
            assert (await valkey.attempt(lambda client, name=name: client.pttl(name)) or 0) > 0, name  # type: ignore[misc]
        await writer.finish("completed", entry=_ENTRY)


async def _keys(valkey: Valkey, key: FlightKey) -> set[bytes]:
    pattern = f"*{{{key.tenant_id}:{key.digest}}}*"
    names = await valkey.attempt(lambda client: client.keys(pattern))
    assert names is not None
    return {bytes(name) if isinstance(name, bytes) else name.encode() for name in names}


@pytest.mark.parametrize("after", [1, 5, 6, 9, 10])
async def test_a_reader_resumes_after_any_item(flights: Flights, key: FlightKey, after: int) -> None:
    writer = await _lead(flights, key)
    batches = ([_HEAD, *map(_chunk, range(1, 6))], [*map(_chunk, range(6, 10))], [_chunk(10)])
    for batch in batches:
        writer.add(batch)
        assert await writer.committed()
    live = asyncio.create_task(_all(flights.follow(key, writer.flight_id, after)))
    await writer.finish("completed")
    wanted = [_chunk(index) for index in range(after + 1, 11)]
    late = await _all(flights.follow(key, writer.flight_id, after))
    for items in (await live, late):
        assert [item for item in items[:-1] if item.kind == "chunk"] == wanted
        assert _outcome(items) == "completed"
    assert await _all(flights.follow(key, writer.flight_id, 11)) == []


async def test_a_long_log_is_read_in_pages(flights: Flights, key: FlightKey) -> None:
    writer = await _lead(flights, key)
    said = [_chunk(index, 5000) for index in range(1, 201)]
    for item in said:
        writer.add([item])
        await writer.committed()
    await writer.finish("completed")
    assert (await _all(flights.follow(key, writer.flight_id)))[:-1] == said


async def test_a_follower_may_come_before_the_first_word(flights: Flights, key: FlightKey) -> None:
    writer = await _lead(flights, key)
    reading = flights.follow(key, writer.flight_id)
    first = asyncio.create_task(anext(reading))
    while not writer.state.readers:
        await writer._flush()
    writer.add([_HEAD, _chunk(1)])
    assert await first == (_HEAD, _chunk(1))
    await writer.finish("completed")
    assert _outcome(await _all(reading)) == "completed"


async def test_readers_are_counted_until_they_leave(flights: Flights, key: FlightKey) -> None:
    writer = await _lead(flights, key)
    writer.add([_HEAD])
    await writer.committed()
    readings = [flights.follow(key, writer.flight_id) for _ in range(3)]
    for reading in readings:
        assert await anext(reading) == (_HEAD,)
    await writer._flush()
    assert writer.state.readers == 3
    await readings[0].aclose()
    waiting = asyncio.create_task(anext(readings[1]))
    await writer._flush()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await writer._flush()
    assert writer.state.readers == 1
    await writer.finish("completed")
    assert _outcome(await _all(readings[2])) == "completed"


async def test_a_flight_is_known_while_it_lasts_and_its_answer_after_it(
    flights: Flights, key: FlightKey
) -> None:
    assert not await flights.known(key)
    writer = await _lead(flights, key)
    assert await flights.known(key)
    await writer.finish("completed", entry=_ENTRY, ttl_seconds=60)
    assert await flights.known(key)


async def test_a_flight_that_is_given_up_is_joined_by_nobody_more(flights: Flights, key: FlightKey) -> None:
    writer = await _lead(flights, key)
    writer.add([_HEAD])
    follow = await flights.board(key, _id(), recall=True)
    assert isinstance(follow, Follow)
    assert not await writer.seal()
    reading = flights.follow(key, follow.flight_id, reader_id=follow.reader_id)
    await anext(reading)
    await reading.aclose()

    assert await writer.seal()
    # Nor does a sign of life bring it back.
    assert await writer.committed()
    await writer._flush()
    other = await flights.board(key, _id(), recall=True)
    assert isinstance(other, Lead)
    assert await writer.finish("cancelled")
    assert isinstance(await flights.board(key, _id(), recall=True), Follow)
    await other.writer.finish("completed")


async def test_readers_that_come_and_go_leave_the_connections_whole(flights: Flights, key: FlightKey) -> None:
    writer = await _lead(flights, key)
    writer.add([_HEAD])
    assert await writer.committed()
    readings = [asyncio.create_task(_all(flights.follow(key, writer.flight_id))) for _ in range(120)]
    async with asyncio.timeout(30):
        while writer.state.readers < len(readings):
            await writer._flush()
    for reading in readings:
        reading.cancel()
    await asyncio.gather(*readings, return_exceptions=True)
    await writer._flush()
    assert writer.state.readers == 0
    for number in range(10):
        assert await flights.point(key, writer.flight_id, f"answer-{number}", "key")
        assert await flights.locate(key.tenant_id, f"answer-{number}") == Located(
            key, writer.flight_id, "key"
        )
    assert await writer.finish("completed")


async def test_a_leader_that_dies_is_taken_over_once(hasty: Flights, key: FlightKey) -> None:
    old = await _lead(hasty, key)
    old.add([_HEAD, _chunk(1), _chunk(2)])
    assert await old.committed()
    assert await hasty.take_over(key, old.flight_id) is None
    _freeze(old)
    lost = await asyncio.gather(*(_leader_is_lost(hasty, old) for _ in range(5)))
    assert lost == [[_HEAD, _chunk(1), _chunk(2)]] * 5
    taken = await asyncio.gather(*(hasty.take_over(key, old.flight_id) for _ in range(5)))
    (new,) = filter(None, taken)
    assert new.last_index == 2
    boarded = await hasty.board(key, _id(), recall=True)
    assert isinstance(boarded, Follow)
    assert boarded.flight_id == old.flight_id

    old.add([_chunk(3, 99)])
    assert not await old.committed()
    assert old.lost
    assert not await old.finish("completed")

    new.add([_chunk(3)])
    assert await new.finish("completed")
    items = await _all(hasty.follow(key, old.flight_id))
    assert items[:-1] == [_HEAD, _chunk(1), _chunk(2), _chunk(3)]
    assert items[-1].index == 4
    assert await hasty.take_over(key, old.flight_id) is None


async def test_a_leader_that_only_paused_goes_on(hasty: Flights, key: FlightKey) -> None:
    writer = await _lead(hasty, key)
    _freeze(writer)
    await _leader_is_lost(hasty, writer)
    writer.add([_HEAD])
    assert await writer.committed()
    assert await hasty.take_over(key, writer.flight_id) is None
    assert await writer.finish("completed")


async def test_a_leader_in_wait_keeps_its_lease(hasty: Flights, key: FlightKey) -> None:
    writer = await _lead(hasty, key)
    reading = asyncio.create_task(_all(hasty.follow(key, writer.flight_id)))
    # Waits many leases out: the silence is what is tested.
    done, _ = await asyncio.wait([reading], timeout=6 * _SHORT.lease_seconds)
    assert not done
    assert isinstance(await hasty.board(key, _id(), recall=True), Follow)
    await writer.finish("completed")
    assert _outcome(await reading) == "completed"


async def test_a_leader_that_was_dropped_stops_renewing(hasty: Flights, key: FlightKey) -> None:
    writer = await _lead(hasty, key)
    flight_id = writer.flight_id
    del writer
    with pytest.raises(LeaderLost):
        await _all(hasty.follow(key, flight_id))


async def test_who_abandons_is_taken_over_before_the_lease_is_out(flights: Flights, key: FlightKey) -> None:
    writer = await _lead(flights, key)
    writer.keep_body(b'{"messages":[]}')
    writer.add([_HEAD])
    await writer.committed()
    lost = asyncio.create_task(_leader_is_lost(flights, writer))
    while not writer.state.readers:
        await writer._flush()
    await writer.abandon()
    assert await lost == [_HEAD]
    assert await flights.body(key, writer.flight_id) == b'{"messages":[]}'
    new = await flights.take_over(key, writer.flight_id)
    assert new is not None
    assert await new.finish("completed")
    assert await flights.body(key, writer.flight_id) is None


async def test_after_the_end_abandon_does_nothing(flights: Flights, key: FlightKey) -> None:
    writer = await _lead(flights, key)
    assert await writer.finish("completed")
    await writer.abandon()
    assert _outcome(await _all(flights.follow(key, writer.flight_id))) == "completed"


async def test_a_log_without_single_flight_is_joined_by_nobody(flights: Flights, key: FlightKey) -> None:
    writer = await flights.open(key, _id())
    assert writer is not None
    writer.add([_HEAD])
    await writer.committed()
    other = await _lead(flights, key)
    writer.publish("answer", "key")
    await writer.committed()
    located = await flights.locate(key.tenant_id, "answer")
    assert located == Located(key, writer.flight_id, "key")
    await writer.finish("completed")
    assert (await _all(flights.follow(key, writer.flight_id)))[0] == _HEAD
    assert isinstance(await flights.board(key, _id(), recall=True), Follow)
    await other.abandon()


async def test_a_cancelled_answer_reaches_its_leader_and_its_followers(
    flights: Flights, key: FlightKey
) -> None:
    writer = await _lead(flights, key)
    writer.publish("mine", "key")
    await writer.committed()
    assert await flights.point(key, writer.flight_id, "theirs", "other")
    reading = flights.follow(key, writer.flight_id)
    located = await flights.locate(key.tenant_id, "theirs")
    assert located == Located(key, writer.flight_id, "other")
    assert await flights.cancel(located, "theirs")
    assert await anext(reading) == (LogItem("cancel", 0, b"theirs"),)
    await writer._flush()
    assert not writer.state.cancelled
    assert await flights.cancel(Located(key, writer.flight_id, "key"), "mine")
    # By the next renewal, within a second.
    async with asyncio.timeout(5):
        await writer.until_cancelled()
    assert writer.state.cancelled
    assert await anext(reading) == (LogItem("cancel", 0, b"mine"),)
    assert await writer.finish("cancelled")
    assert not await flights.cancel(located, "theirs")
    assert _outcome(await _all(reading)) == "cancelled"


async def test_tenants_are_apart(flights: Flights, key: FlightKey) -> None:
    writer = await _lead(flights, key)
    writer.publish("answer", "key")
    writer.add([_HEAD])
    await writer.committed()
    other = FlightKey(f"{key.tenant_id}_other", key.digest)
    assert await flights.locate(other.tenant_id, "answer") is None
    with pytest.raises(LogGone):
        await _all(flights.follow(other, writer.flight_id))
    assert not await flights.cancel(Located(other, writer.flight_id, "key"), "answer")
    assert await flights.take_over(other, writer.flight_id) is None
    await (await _lead(flights, other)).abandon()
    await writer.finish("completed", entry=_ENTRY)
    await (await _lead(flights, other)).abandon()


async def test_two_ids_never_make_one_name(flights: Flights, key: FlightKey) -> None:
    assert await flights.point(key, "flight", "b:c", "key")
    assert await flights.locate(f"{key.tenant_id}:b", "c") is None
    assert await flights.locate(key.tenant_id, "b:c") is not None


@pytest.mark.parametrize("answer_id", ["", "a b", "a\nb", "x" * 201, "\u00e9"])
async def test_what_can_be_no_answer_id_is_not_found(
    flights: Flights, key: FlightKey, answer_id: str
) -> None:
    assert not await flights.point(key, "flight", answer_id, "key")
    assert await flights.locate(key.tenant_id, answer_id) is None
    assert not await flights.cancel(Located(key, "flight", "key"), answer_id)


async def test_a_log_that_grows_too_large_is_ended(valkey: Valkey, key: FlightKey) -> None:
    flights = Flights(valkey, FlightOptions(log_bytes=5 * (HEADER_BYTES + 102)))
    writer = await _lead(flights, key)
    for index in range(1, 9):
        writer.add([_chunk(index, 100)])
        await writer.committed()
    assert writer.lost
    items = await _all(flights.follow(key, writer.flight_id))
    assert [item.index for item in items] == [1, 2, 3, 4, 5, 7]
    assert _outcome(items) == "overflow"
    await writer.finish("completed", entry=_ENTRY)
    assert await flights.board(key, _id(), recall=True) == Hit(_ENTRY)


async def test_a_large_body_is_not_kept(flights: Flights, key: FlightKey) -> None:
    writer = await _lead(flights, key)
    writer.keep_body(b"x" * (256 * 2**10 + 1))
    writer.add([_HEAD])
    await writer.committed()
    assert await flights.body(key, writer.flight_id) is None
    await writer.abandon()


class _Deaf(Valkey):
    """A real Valkey whose answers, while `deaf`, come too late to be heard: what was asked is done."""

    def __init__(self, valkey: Valkey) -> None:
        self._heard_by = valkey
        self.deaf = False

    async def attempt(self, operation: Callable[[Redis], Awaitable[R]], *, waits_ms: int = 0) -> R | None:
        answer = await self._heard_by.attempt(operation, waits_ms=waits_ms)
        return None if self.deaf else answer


async def test_a_batch_sent_twice_is_written_once(valkey: Valkey, key: FlightKey) -> None:
    deaf = _Deaf(valkey)
    flights = Flights(deaf)
    writer = await _lead(flights, key)
    deaf.deaf = True
    writer.add([_HEAD, _chunk(1)])
    assert not await writer.committed()
    assert not writer.lost
    writer.add([_chunk(2)])
    deaf.deaf = False
    assert await writer.committed()
    deaf.deaf = True
    writer.add([_chunk(3)])
    assert not await writer.committed()
    deaf.deaf = False
    writer.add([_chunk(4)])
    assert await writer.finish("completed")
    assert (await _all(flights.follow(key, writer.flight_id)))[:-1] == [_HEAD, *map(_chunk, range(1, 5))]


async def test_a_log_with_a_gap_gets_no_end(valkey: Valkey, key: FlightKey) -> None:
    deaf = _Deaf(valkey)
    flights = Flights(deaf)
    writer = await _lead(flights, key)
    writer.add([_HEAD, _chunk(1)])
    assert await writer.committed()
    writer.lost = True
    writer.add([_chunk(2)])
    assert not await writer.finish("completed", entry=_ENTRY)
    assert await _leader_is_lost(flights, writer) == [_HEAD, _chunk(1)]
    assert await flights.board(key, _id(), recall=True) == Hit(_ENTRY)
