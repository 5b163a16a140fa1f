"""Events are gathered while a frame is on its way, and none is lost."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.providers.sse import DONE
from shared.websocket.gathering import GATHER_BYTES, gathered
from shared.websocket.packing import Said


async def test_the_first_comes_at_once_and_what_follows_together() -> None:
    more, ended = asyncio.Event(), asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b'data: {"n":1}\n\n'
        await more.wait()
        for number in range(2, 30):
            yield b'data: {"n":%d}\n\n' % number
        yield b"data: [DONE]\n\n"
        ended.set()

    events = gathered(pieces())
    assert await anext(events) == (Said(0, b'{"n":1}'),)
    more.set()
    await ended.wait()
    rest = await anext(events)
    assert rest == (*(Said(0, b'{"n":%d}' % number) for number in range(2, 30)), Said(0, DONE))
    assert [batch async for batch in events] == []


async def test_so_much_does_not_wait() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b'data: "%s"\n\n' % (b"x" * GATHER_BYTES)
        await asyncio.Event().wait()

    events = gathered(pieces())
    got = 0
    async with asyncio.timeout(5):
        while got < 3:
            got += len(await anext(events))
    await events.aclose()


async def test_to_leave_early_closes_the_answer() -> None:
    closed = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        try:
            yield b"data: {}\n\n"
            await asyncio.Event().wait()
        finally:
            closed.set()

    events = gathered(pieces())
    await anext(events)
    await events.aclose()
    assert closed.is_set()


async def test_what_fails_is_raised_after_what_came_before() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"data: {}\n\n"
        raise ValueError("broken")

    events = gathered(pieces())
    assert await anext(events) == (Said(0, b"{}"),)
    with pytest.raises(ValueError, match="broken"):
        await anext(events)
