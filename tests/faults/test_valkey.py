"""Valkey is killed, and frozen, while two chat processes are under load."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.contract.upstream import StreamReply
from tests.faults.load import Load, failed
from tests.integration.chat_process import CHUNKS, PIECES, Client, read_some

_WORKERS = 3

# A call to Valkey may take so long (seconds); a delay that is clearly shorter is not its doing.
_PAUSE, _NOTICEABLE = 0.050, 0.045

# What an answer takes in any case; on a busy machine more, as is measured before each fault.
_USUAL = 0.030

# Seconds within which a Valkey that is back is used again.
_BACK = 5.0

# Seconds of an outage: the processes look each second whether it is over.
_OUTAGE = 3.0


@pytest.fixture
async def loads(start_loads) -> AsyncIterator[list[Load]]:
    """Load on each of two processes, with Valkey's time-out as it is by default."""
    async with AsyncExitStack() as stack:
        yield await start_loads(stack, _WORKERS, usage_delivery="background", valkey_timeout_ms=50)


async def test_frozen(loads, valkey_server, figure) -> None:
    for _ in range(2):
        await _in_use(loads, since=time.monotonic())
        frozen_at = time.monotonic()
        valkey_server.freeze()
        try:
            await _left_alone(loads, since=frozen_at)
            await asyncio.sleep(_OUTAGE)
        finally:
            thawed_at = time.monotonic()
            valkey_server.thaw()
        figure(await _in_use(loads, since=thawed_at))
        for load in loads:
            figure(_paused_once(load, frozen_at, thawed_at))
    assert failed(loads) == []


async def test_killed(loads, valkey_server, figure) -> None:
    await _in_use(loads, since=time.monotonic())
    killed_at = time.monotonic()
    await valkey_server.kill()
    await _left_alone(loads, since=killed_at)
    await asyncio.sleep(_OUTAGE)
    started_at = time.monotonic()
    await valkey_server.start_again()
    figure(await _in_use(loads, since=time.monotonic()))

    for load in loads:
        figure(_paused_once(load, killed_at, started_at))
    assert failed(loads) == []


@pytest.mark.parametrize("weir", [{}, {"resumable": True}], ids=str)
async def test_streams_that_are_under_way(
    start_chats, upstream, session, new_key, valkey_server, weir
) -> None:
    hold = asyncio.Event()
    upstream.replies = [StreamReply([b"".join(PIECES[:6]), b"".join(PIECES[6:])], hold=hold)]
    key = await new_key()
    clients = [Client(session, chat, key) for chat in await start_chats(upstream.url, valkey_timeout_ms=50)]
    async with AsyncExitStack() as stack:
        asked = [client.post(f"Number {n}", stream=True, weir=weir) for n, client in enumerate(clients * 4)]
        streams = [await stack.enter_async_context(each) for each in asked]
        begun = await asyncio.gather(*(read_some(stream, events=6) for stream in streams))
        valkey_server.freeze()
        try:
            hold.set()
            async with asyncio.timeout(2):
                rests = await asyncio.gather(*(stream.read() for stream in streams))
        finally:
            valkey_server.thaw()

    for first, rest in zip(begun, rests, strict=True):
        assert (first + rest).count(b"data: ") == len(CHUNKS) + 1
        assert rest.endswith(b"data: [DONE]\n\n")


async def _in_use(loads: list[Load], *, since: float) -> str:
    """Wait until each process uses Valkey; says after how long."""
    async with asyncio.timeout(_BACK):
        answers = await asyncio.gather(*(load.until_limited(since=since) for load in loads))
    return f"used again after {', '.join(f'{answer.ended - since:.2f} s' for answer in answers)}"


async def _left_alone(loads: list[Load], *, since: float) -> None:
    await asyncio.gather(*(load.until_unlimited(since=since) for load in loads))


def _paused_once(load: Load, since: float, until: float) -> str:
    """Holds that a load saw one short pause at most; says what it saw."""
    usual = sorted(answer.seconds for answer in load.answers if answer.ended < since)
    usually = usual[len(usual) * 99 // 100]
    during = [answer for answer in load.answers if answer.ended > since and answer.began < until]
    paused = [a for a in during if a.ended < until and load.delay(a) > max(_NOTICEABLE, usually)]
    slowest = max(map(load.delay, during))
    assert slowest < _PAUSE + max(_USUAL, usually)
    # Those that wait do so in one moment, so it is one pause.
    assert max((a.began for a in paused), default=since) <= min((a.ended for a in paused), default=until)
    return (
        f"{len(during)} answers in {until - since:.1f} s, {len(paused)} of them paused, the longest "
        f"{slowest * 1000:.0f} ms; before, 99 of 100 took up to {usually * 1000:.0f} ms"
    )
