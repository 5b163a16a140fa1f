"""Commands share one connection: each caller gets its own answer, whatever becomes of the others."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.exceptions import ConnectionError as BrokenError
from redis.exceptions import NoScriptError, ResponseError

from shared.valkey.line import PipelinedRedis

_SAY = "return ARGV[1]"
_WORK_LONG = "local n = 0 for i = 1, 2e7 do n = n + i end return ARGV[1]"


async def say(client: PipelinedRedis, text: str, *arguments: Any) -> Any:
    return await client.execute_command("EVAL", text, *arguments)


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[PipelinedRedis]:
    client = PipelinedRedis.from_url(valkey_url, client_name="line")
    assert isinstance(client, PipelinedRedis)
    yield client
    await client.aclose()


async def test_each_of_many_at_once_gets_its_own_answer_over_one_connection(client: PipelinedRedis) -> None:
    said = await asyncio.gather(*(say(client, _SAY, 0, str(number)) for number in range(500)))

    assert said == [b"%d" % number for number in range(500)]
    assert [each["name"] for each in await client.client_list()].count("line") == 1


async def test_an_error_goes_to_the_caller_that_made_it(client: PipelinedRedis) -> None:
    said = await asyncio.gather(
        say(client, _SAY, 0, "first"),
        say(client, "return redis.call('NONSENSE')", 0),
        client.execute_command("EVALSHA", "0" * 40, 0),
        say(client, _SAY, 0, "last"),
        return_exceptions=True,
    )

    assert (said[0], said[3]) == (b"first", b"last")
    assert isinstance(said[1], ResponseError)
    assert isinstance(said[2], NoScriptError)


async def test_answers_are_read_as_the_client_reads_them(client: PipelinedRedis) -> None:
    assert await client.set("{line}", "value", px=60_000) is True
    assert await client.get("{line}") == b"value"
    assert await client.hgetall("{none}") == {}


async def test_a_command_that_blocks_keeps_nobody_waiting(client: PipelinedRedis) -> None:
    blocked: asyncio.Future[Any] = asyncio.ensure_future(client.xread({"{stream}": "$"}, block=60_000))
    assert await say(client, _SAY, 0, "at once") == b"at once"
    blocked.cancel()
    await asyncio.wait([blocked])


async def test_a_caller_that_leaves_does_not_mix_up_the_answers(client: PipelinedRedis) -> None:
    await client.open_line()
    calls = [asyncio.create_task(say(client, _WORK_LONG, 0, str(number))) for number in range(4)]
    await asyncio.sleep(0)
    calls[1].cancel()

    said = await asyncio.gather(*calls, say(client, _SAY, 0, "after"), return_exceptions=True)

    assert isinstance(said.pop(1), asyncio.CancelledError)
    assert said == [b"0", b"2", b"3", b"after"]


async def test_who_waits_hears_of_a_broken_line_and_the_next_opens_another(client: PipelinedRedis) -> None:
    await client.open_line()
    waiting = asyncio.create_task(say(client, _WORK_LONG, 0, "never"))
    await asyncio.sleep(0)
    client.hang_up()

    with pytest.raises(BrokenError):
        await waiting
    assert await say(client, _SAY, 0, "again") == b"again"


async def test_a_line_that_the_server_closed_is_opened_again(client: PipelinedRedis) -> None:
    await say(client, _SAY, 0, "first")
    await client.client_kill_filter(_type="normal", skipme=True)

    async with asyncio.timeout(5):
        while True:
            try:
                assert await say(client, _SAY, 0, "again") == b"again"
            except BrokenError:
                continue
            break
