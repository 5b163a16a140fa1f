"""Keys that change, and limits of a tenant, through the API over real PostgreSQL and Valkey."""

from datetime import UTC, datetime, timedelta

import openai
import pytest

from shared.limits.caller import find_caller, key_hash
from shared.limits.limits import UNLIMITED, CachePolicy, Limits
from tests.integration.api_stack import Api, Member, NewMember

pytest_plugins = ["tests.integration.api_fixtures"]

EVERYTHING = {
    "models": ["a", "b"],
    "requests_per_minute": 60,
    "tokens_per_minute": 1000,
    "concurrent_requests": 5,
    "budget_per_day_usd": "1.5",
    "budget_per_month_usd": "20.000001",
    "cache": {"mode": "off", "ttl": 3600},
}
NOTHING = {
    "models": None,
    "requests_per_minute": None,
    "tokens_per_minute": None,
    "concurrent_requests": None,
    "budget_per_day_usd": None,
    "budget_per_month_usd": None,
    "cache": {"mode": None, "ttl": None},
}


async def get(member: Member, path: str) -> dict:
    return await member.sdk.get(path, cast_to=object)


async def post(member: Member, path: str, **body) -> dict:
    return await member.sdk.post(path, cast_to=object, body=body)


async def works(api: Api, key: str) -> bool:
    async with openai.AsyncOpenAI(base_url=f"{api.url}/v1", api_key=key, max_retries=0) as sdk:
        try:
            await sdk.files.list()
        except openai.AuthenticationError:
            return False
        return True


@pytest.fixture
async def admin(new_member: NewMember) -> Member:
    return await new_member("admin")


async def test_everything_that_is_limited_is_kept_and_shown(api: Api, admin: Member) -> None:
    made = await post(admin, "/keys", name="a", **EVERYTHING)
    shown = await get(admin, f"/keys/{made['id']}")
    assert {name: shown[name] for name in EVERYTHING} == EVERYTHING
    assert shown == {name: value for name, value in made.items() if name != "key"}
    async with api.services.database.anonymous() as connection:
        caller = await find_caller(connection, key_hash(made["key"]))
    assert caller is not None
    assert caller.models == {"a", "b"}
    assert caller.limits == Limits(
        requests_per_minute=60,
        tokens_per_minute=1000,
        concurrent_requests=5,
        budget_per_day=1_500_000,
        budget_per_month=20_000_001,
    )
    assert caller.tenant_limits == UNLIMITED
    assert caller.cache == CachePolicy(mode="off", ttl_seconds=3600)


async def test_a_key_without_limits_has_none(admin: Member) -> None:
    made = await post(admin, "/keys", name="a")
    assert {name: made[name] for name in NOTHING} == NOTHING


async def test_only_what_is_sent_changes(admin: Member) -> None:
    made = await post(admin, "/keys", name="a", **EVERYTHING)
    path = f"/keys/{made['id']}"
    changed = await post(admin, path, requests_per_minute=None, budget_per_day_usd=0.1)
    assert {name: changed[name] for name in EVERYTHING} == {
        **EVERYTHING,
        "requests_per_minute": None,
        "budget_per_day_usd": "0.1",
    }
    assert changed["name"] == "a"
    until = datetime.now(UTC) + timedelta(days=1)
    changed = await post(admin, path, **NOTHING | {"cache": None}, name="b", expires_at=until.isoformat())
    assert {name: changed[name] for name in NOTHING} == NOTHING
    assert (changed["name"], changed["expires_at"]) == ("b", int(until.timestamp()))
    assert (await post(admin, path, expires_at=None))["expires_at"] is None
    assert await get(admin, path) == (await get(admin, "/keys"))["data"][0]


async def test_a_rotated_key_has_a_new_secret_and_all_else_as_before(api: Api, admin: Member) -> None:
    made = await post(admin, "/keys", name="a", **EVERYTHING)
    assert await works(api, made["key"])
    rotated = await post(admin, f"/keys/{made['id']}/rotate")
    assert rotated["key"] != made["key"]
    same = {"key", "hint"}
    assert {k: v for k, v in rotated.items() if k not in same} == {
        k: v for k, v in made.items() if k not in same
    }
    assert not await works(api, made["key"])
    assert await works(api, rotated["key"])
    again = await post(admin, f"/keys/{made['id']}/rotate", overlap_seconds=60)
    assert await works(api, rotated["key"])
    assert await works(api, again["key"])
    await admin.sdk.delete(f"/keys/{made['id']}", cast_to=object)
    assert not await works(api, rotated["key"])
    assert not await works(api, again["key"])


async def test_an_admin_may_rotate_its_own_key(api: Api, admin: Member) -> None:
    rotated = await post(admin, f"/keys/{admin.key_id}/rotate")
    assert rotated["role"] == "admin"
    assert await works(api, rotated["key"])
    with pytest.raises(openai.AuthenticationError):
        await get(admin, "/keys")


async def test_a_revoked_key_stays_as_it_is(admin: Member) -> None:
    made = await post(admin, "/keys", name="a")
    await admin.sdk.delete(f"/keys/{made['id']}", cast_to=object)
    for path in ("", "/rotate"):
        with pytest.raises(openai.ConflictError, match="revoked"):
            await post(admin, f"/keys/{made['id']}{path}")


async def test_unknown_and_foreign_keys_are_not_there(admin: Member, new_member: NewMember) -> None:
    stranger = await new_member("admin")
    foreign = await post(stranger, "/keys", name="a")
    for key_id in ("key_none", foreign["id"]):
        for ask in (
            get(admin, f"/keys/{key_id}"),
            post(admin, f"/keys/{key_id}", name="mine"),
            post(admin, f"/keys/{key_id}/rotate"),
            admin.sdk.delete(f"/keys/{key_id}", cast_to=object),
        ):
            with pytest.raises(openai.NotFoundError):
                await ask
    assert (await get(stranger, f"/keys/{foreign['id']}"))["name"] == "a"


async def test_a_tenants_limits_are_its_own(api: Api, admin: Member, new_member: NewMember) -> None:
    fields = {name: value for name, value in EVERYTHING.items() if name not in ("models", "cache")}
    unlimited = {"object": "limits", **dict.fromkeys(fields)}
    assert await get(admin, "/limits") == unlimited
    assert await post(admin, "/limits", **fields) == unlimited | fields
    changed = await post(admin, "/limits", concurrent_requests=None, budget_per_day_usd=2)
    assert changed == unlimited | fields | {"concurrent_requests": None, "budget_per_day_usd": "2"}
    assert await get(admin, "/limits") == changed
    async with api.services.database.anonymous() as connection:
        caller = await find_caller(connection, key_hash(admin.api_key))
    assert caller is not None
    assert (caller.limits, caller.tenant_limits.budget_per_day) == (UNLIMITED, 2_000_000)
    assert await get(await new_member("admin"), "/limits") == unlimited


async def test_members_have_no_say(member: Member) -> None:
    path = f"/keys/{member.key_id}"
    for ask in (
        get(member, path),
        post(member, path, requests_per_minute=None),
        post(member, f"{path}/rotate"),
        get(member, "/limits"),
        post(member, "/limits", budget_per_day_usd=None),
    ):
        with pytest.raises(openai.PermissionDeniedError, match="admin"):
            await ask


@pytest.mark.parametrize("path", ["/keys", "/keys/{id}", "/limits"])
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"tokens_per_minute": 2**31}, "tokens_per_minute"),
        ({"concurrent_requests": -1}, "concurrent_requests"),
        ({"budget_per_day_usd": -0.5}, "budget_per_day_usd"),
        ({"budget_per_day_usd": "0.0000001"}, "budget_per_day_usd"),
        ({"budget_per_month_usd": 1e10}, "budget_per_month_usd"),
        ({"budget_per_month_usd": "NaN"}, "budget_per_month_usd"),
        ({"budget_per_month_usd": "a lot"}, "budget_per_month_usd"),
        ({"budget_per_month_usd": True}, "budget_per_month_usd"),
        ({"budget": 1}, "budget"),
    ],
)
async def test_a_bad_limit_is_named(admin: Member, path: str, fields: dict, param: str) -> None:
    name = {"name": "a"} if path == "/keys" else {}
    with pytest.raises(openai.BadRequestError) as caught:
        await post(admin, path.format(id=admin.key_id), **name, **fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"cache": {"mode": "always"}}, "cache.mode"),
        ({"cache": {"ttl": 0}}, "cache.ttl"),
        ({"cache": {"ttl": 10**9}}, "cache.ttl"),
        ({"name": ""}, "name"),
        ({"role": "admin"}, "role"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    ],
)
async def test_a_bad_change_is_named(admin: Member, fields: dict, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await post(admin, f"/keys/{admin.key_id}", **fields)
    assert caught.value.param == param


async def test_a_bad_overlap_is_named(admin: Member) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await post(admin, f"/keys/{admin.key_id}/rotate", overlap_seconds=-1)
    assert caught.value.param == "overlap_seconds"
