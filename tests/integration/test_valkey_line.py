"""Scripts share one connection: each caller gets its own answer, whatever becomes of the others."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.exceptions import ConnectionError as BrokenError
from redis.exceptions import NoScriptError, ResponseError

from shared.valkey.line import ScriptedRedis

_SAY = "return ARGV[1]"
_WORK_LONG = "local n = 0 for i = 1, 2e7 do n = n + i end return ARGV[1]"


async def say(client: ScriptedRedis, text: str, *arguments: Any) -> Any:
    return await client.execute_command("EVAL", text, *arguments)


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[ScriptedRedis]:
    client = ScriptedRedis.from_url(valkey_url)
    assert isinstance(client, ScriptedRedis)
    yield client
    await client.aclose()


async def test_each_of_many_at_once_gets_its_own_answer_over_one_connection(client: ScriptedRedis) -> None:
    before = len(await client.client_list())

    said = await asyncio.gather(*(say(client, _SAY, 0, str(number)) for number in range(500)))

    assert said == [b"%d" % number for number in range(500)]
    assert len(await client.client_list()) == before + 1


async def test_an_error_goes_to_the_caller_that_made_it(client: ScriptedRedis) -> None:
    first, wrong, unknown, last = await asyncio.gather(
        say(client, _SAY, 0, "first"),
        say(client, "return redis.call('NONSENSE')", 0),
        client.execute_command("EVALSHA", "0" * 40, 0),
        say(client, _SAY, 0, "last"),
        return_exceptions=True,
    )

    assert (first, last) == (b"first", b"last")
    assert isinstance(wrong, ResponseError)
    assert isinstance(unknown, NoScriptError)


async def test_a_caller_that_leaves_does_not_mix_up_the_answers(client: ScriptedRedis) -> None:
    await client.open_line()
    calls = [asyncio.create_task(say(client, _WORK_LONG, 0, str(number))) for number in range(4)]
    await asyncio.sleep(0)
    calls[1].cancel()

    said = await asyncio.gather(*calls, say(client, _SAY, 0, "after"), return_exceptions=True)

    assert isinstance(said.pop(1), asyncio.CancelledError)
    assert said == [b"0", b"2", b"3", b"after"]


async def test_who_waits_hears_of_a_broken_line_and_the_next_opens_another(client: ScriptedRedis) -> None:
    await client.open_line()
    waiting = asyncio.create_task(say(client, _WORK_LONG, 0, "never"))
    await asyncio.sleep(0)
    client.hang_up()

    with pytest.raises(BrokenError):
        await waiting
    assert await say(client, _SAY, 0, "again") == b"again"


async def test_a_line_that_the_server_closed_is_opened_again(client: ScriptedRedis) -> None:
    await say(client, _SAY, 0, "first")
    await client.client_kill_filter(_type="normal", skipme=True)

    async with asyncio.timeout(5):
        while True:
            try:
                assert await say(client, _SAY, 0, "again") == b"again"
            except BrokenError:
                continue
            break
