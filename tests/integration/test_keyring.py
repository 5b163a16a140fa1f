"""How fast a change of a key is in force, and how keys go on when a store is gone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import AuthenticationError, UnavailableError
from shared.limits.caller import key_hash
from shared.limits.keyring import STALE_TTL, KeyRing
from shared.limits.keys import (
    IssuedKey,
    KeySettings,
    NewKey,
    create_key,
    hashes_of,
    revoke_key,
    rotate_key,
    update_key,
)
from shared.limits.limits import Limits
from shared.limits.outage import PAUSE
from shared.limits.tenants import set_tenant_limits
from shared.postgres.database import Connection, Database
from shared.valkey.client import Valkey

NOW = datetime.now(UTC)
SECOND = timedelta(seconds=1)


class Switch:
    """A database that can be gone, or say nothing for ever, and counts what it is asked."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.asked = 0
        self.gone = False
        self.hangs = False

    @asynccontextmanager
    async def anonymous(self) -> AsyncIterator[Connection]:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.gone:
            raise UnavailableError("gone")
        async with self._database.anonymous() as connection:
            yield connection


@pytest.fixture
def switch(database: Database) -> Switch:
    return Switch(database)


@pytest.fixture
def ring(switch: Switch, valkey: Valkey) -> KeyRing:
    return KeyRing(switch, valkey)


@pytest.fixture
async def issued(database: Database, tenant_id: str) -> IssuedKey:
    async with database.tenant(tenant_id) as connection:
        return await create_key(connection, NewKey(tenant_id=tenant_id, name="a"))


async def limit(ring: KeyRing, issued: IssuedKey, now: datetime) -> int | None:
    caller = await ring.authenticate(f"Bearer {issued.plaintext}", now)
    return caller.limits.requests_per_minute


async def change(database: Database, tenant_id: str, issued: IssuedKey) -> None:
    settings = KeySettings(name="a", limits=Limits(requests_per_minute=5))
    async with database.tenant(tenant_id) as connection:
        await update_key(connection, issued.record.key_id, settings)


async def test_a_key_is_known_without_asking_again(ring: KeyRing, switch: Switch, issued: IssuedKey) -> None:
    for step in range(4):
        await limit(ring, issued, NOW + step * SECOND / 2)
    assert switch.asked == 1


async def test_a_key_is_asked_for_once_by_many(ring: KeyRing, switch: Switch, issued: IssuedKey) -> None:
    await asyncio.gather(*(limit(ring, issued, NOW) for _ in range(50)))
    assert switch.asked == 1


async def test_another_process_takes_it_from_valkey(
    ring: KeyRing, switch: Switch, valkey: Valkey, issued: IssuedKey
) -> None:
    await limit(ring, issued, NOW)
    await limit(KeyRing(switch, valkey), issued, NOW + SECOND)
    assert switch.asked == 1


async def test_a_change_is_in_force_everywhere_within_five_seconds(
    ring: KeyRing, database: Database, valkey: Valkey, tenant_id: str, issued: IssuedKey
) -> None:
    # The worst there is: read just before the change, taken from there just before it is too old.
    assert await limit(ring, issued, NOW) is None
    other = KeyRing(database, valkey)
    await change(database, tenant_id, issued)
    assert await limit(other, issued, NOW + 1.99 * SECOND) is None
    assert await limit(other, issued, NOW + 4 * SECOND) == 5
    assert await limit(ring, issued, NOW + 4 * SECOND) == 5


async def test_what_was_read_before_a_change_and_written_after_it_does_no_harm(
    ring: KeyRing, database: Database, valkey: Valkey, tenant_id: str, issued: IssuedKey
) -> None:
    await limit(ring, issued, NOW)
    hashed = key_hash(issued.plaintext)
    name = f"caller:{{{hashed.hex()}}}"
    before = await valkey.attempt(lambda client: client.get(name))
    assert before is not None
    async with database.tenant(tenant_id) as connection:
        await revoke_key(connection, issued.record.key_id, NOW)
    await ring.forget(hashed)
    await valkey.attempt(lambda client: client.set(name, before))
    with pytest.raises(AuthenticationError):
        await limit(KeyRing(database, valkey), issued, NOW + 2 * SECOND)
    # And it is gone, so that it cannot come back while PostgreSQL is gone.
    assert await valkey.attempt(lambda client: client.exists(name)) == 0


async def test_whoever_changed_a_key_sees_it_at_once(
    ring: KeyRing, database: Database, tenant_id: str, issued: IssuedKey
) -> None:
    await limit(ring, issued, NOW)
    await change(database, tenant_id, issued)
    async with database.tenant(tenant_id) as connection:
        hashes = await hashes_of(connection, issued.record.key_id)
    await ring.forget(*hashes)
    assert await limit(ring, issued, NOW) == 5


async def test_a_record_from_the_future_is_not_trusted(
    ring: KeyRing, database: Database, valkey: Valkey, tenant_id: str, issued: IssuedKey
) -> None:
    await limit(ring, issued, NOW + timedelta(minutes=10))
    await change(database, tenant_id, issued)
    assert await limit(KeyRing(database, valkey), issued, NOW) == 5
    # Nor does a clock that was set back make a process keep what it holds.
    assert await limit(ring, issued, NOW) == 5


async def test_a_tenants_limits_come_with_each_of_its_keys(
    ring: KeyRing, database: Database, tenant_id: str, issued: IssuedKey
) -> None:
    await limit(ring, issued, NOW)
    async with database.tenant(tenant_id) as connection:
        await set_tenant_limits(connection, Limits(concurrent_requests=3, budget_per_month=7))
    ring.forget_tenant(tenant_id)
    caller = await ring.authenticate(f"Bearer {issued.plaintext}", NOW + 2 * SECOND)
    assert caller.tenant_limits == Limits(concurrent_requests=3, budget_per_month=7)


async def test_an_old_secret_works_as_long_as_it_overlaps(
    ring: KeyRing, database: Database, tenant_id: str, issued: IssuedKey
) -> None:
    async with database.tenant(tenant_id) as connection:
        new = await rotate_key(connection, issued.record.key_id, NOW, timedelta(minutes=1))
    assert new.record.key_id == issued.record.key_id
    for secret in (issued, new):
        caller = await ring.authenticate(f"Bearer {secret.plaintext}", NOW)
        assert caller.key_id == issued.record.key_id
    with pytest.raises(AuthenticationError):
        await limit(ring, issued, NOW + timedelta(minutes=1))
    await limit(ring, new, NOW + timedelta(minutes=1))
    async with database.tenant(tenant_id) as connection:
        assert len(await hashes_of(connection, issued.record.key_id)) == 2
        newest = await rotate_key(connection, issued.record.key_id, NOW, timedelta(minutes=1))
    # Only the one before the newest overlaps.
    with pytest.raises(AuthenticationError):
        await limit(ring, issued, NOW)
    assert await limit(ring, newest, NOW) is None


async def test_strangers_are_asked_for_once(ring: KeyRing, switch: Switch) -> None:
    for _ in range(20):
        with pytest.raises(AuthenticationError):
            await ring.authenticate("Bearer sk-weir-nobody", NOW)
    assert switch.asked == 1
    with pytest.raises(AuthenticationError):
        await ring.authenticate("Bearer sk-weir-nobody", NOW + 2 * SECOND)
    assert switch.asked == 2


@pytest.mark.parametrize("fault", ["gone", "hangs"])
async def test_known_keys_go_on_without_postgres_and_one_request_waits(
    ring: KeyRing, switch: Switch, issued: IssuedKey, fault: str
) -> None:
    await limit(ring, issued, NOW)
    setattr(switch, fault, True)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for step in range(1, 30):
        assert await limit(ring, issued, NOW + step * 3 * SECOND) is None
    assert loop.time() - began < 1
    with pytest.raises(UnavailableError):
        await ring.authenticate("Bearer sk-weir-unknown", NOW)
    assert loop.time() - began < 1
    with pytest.raises(UnavailableError):
        await limit(ring, issued, NOW + STALE_TTL)


async def test_a_new_process_goes_on_without_postgres_from_valkey(
    ring: KeyRing, switch: Switch, valkey: Valkey, issued: IssuedKey
) -> None:
    await limit(ring, issued, NOW)
    switch.gone = True
    assert await limit(KeyRing(switch, valkey), issued, NOW + timedelta(minutes=50)) is None


async def test_postgres_that_is_back_is_asked_again(
    ring: KeyRing, switch: Switch, database: Database, tenant_id: str, issued: IssuedKey
) -> None:
    await limit(ring, issued, NOW)
    switch.gone = True
    assert await limit(ring, issued, NOW + 3 * SECOND) is None
    await change(database, tenant_id, issued)
    switch.gone = False
    # The first request after it does not wait to find out; what it started will tell the next.
    assert await limit(ring, issued, NOW + 6 * SECOND) is None
    await asyncio.gather(*ring._reading.values())
    assert await limit(ring, issued, NOW + 6 * SECOND) == 5
    assert PAUSE < 5


async def test_without_valkey_postgres_is_asked(switch: Switch, issued: IssuedKey) -> None:
    gone = Valkey("redis://127.0.0.1:1", cluster=False, timeout_ms=50)
    ring = KeyRing(switch, gone)
    assert await limit(ring, issued, NOW) is None
    assert await limit(ring, issued, NOW + 3 * SECOND) is None
    assert switch.asked == 2
    await gone.close()


async def test_an_expired_key_ends_though_it_is_held(
    ring: KeyRing, database: Database, tenant_id: str
) -> None:
    async with database.tenant(tenant_id) as connection:
        issued = await create_key(connection, NewKey(tenant_id=tenant_id, name="a", expires_at=NOW + SECOND))
    assert await limit(ring, issued, NOW) is None
    with pytest.raises(AuthenticationError):
        await limit(ring, issued, NOW + SECOND)


async def test_memory_is_bounded(ring: KeyRing, switch: Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.limits.keyring._LOCAL_SIZE", 10)
    for number in range(30):
        with pytest.raises(AuthenticationError):
            await ring.authenticate(f"Bearer sk-weir-{number}", NOW)
    assert len(ring._unknown) == 10
    assert not ring._reading
