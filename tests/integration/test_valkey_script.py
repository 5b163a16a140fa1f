"""Scripts on a plain Valkey and on a cluster."""

from redis.asyncio import Redis

from shared.valkey.client import Valkey
from shared.valkey.script import Script


async def test_a_script_runs_on_a_server_that_does_not_know_it(valkey: Valkey) -> None:
    script = Script("shared.limits", "rate.lua")

    async def forget(client: Redis) -> bool:
        return bool(await client.script_flush())

    assert await valkey.attempt(forget) is not None
    for left in (9, 8):
        answer = await valkey.attempt(lambda client: script.run(client, ["rate:{test:script}"], [10, 0, 1]))
        assert answer is not None
        assert answer[0] == 1
        assert answer[3] == left
    await valkey.attempt(lambda client: client.delete("rate:{test:script}"))
