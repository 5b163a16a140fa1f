"""Scripts on a plain Valkey and on a cluster."""

from redis.asyncio import Redis

from shared.valkey.client import Valkey
from shared.valkey.script import Script


async def test_a_script_runs_on_a_server_that_does_not_know_it(valkey: Valkey) -> None:
    script = Script("tests.integration", "counting.lua")

    async def forget(client: Redis) -> bool:
        return bool(await client.script_flush())

    assert await valkey.attempt(forget) is not None
    for count in (1, 2):
        assert await valkey.attempt(lambda client: script.run(client, ["{test:script}"], [60])) == count
    await valkey.attempt(lambda client: client.delete("{test:script}"))
