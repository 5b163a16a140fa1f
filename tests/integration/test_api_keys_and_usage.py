"""Keys and usage over real PostgreSQL and Valkey."""

from datetime import UTC, datetime, timedelta

import openai
import pytest

from shared.ledger.records import record_usage
from shared.ledger.usage import CacheOutcome, Leg, UsageRecord
from tests.integration.api_stack import Api, Member, NewMember

pytest_plugins = ["tests.integration.api_fixtures"]


async def get(member: Member, path: str, **query) -> dict:
    return await member.sdk.get(path, cast_to=object, options={"params": query})


async def post(member: Member, path: str, **body) -> dict:
    return await member.sdk.post(path, cast_to=object, body=body)


async def test_a_key_is_shown_once_and_works_until_it_is_revoked(api: Api, new_member: NewMember) -> None:
    admin = await new_member("admin")
    made = await post(admin, "/keys", name="laptop", models=["a"], requests_per_minute=5)
    assert made["key"].startswith("sk-weir-")
    assert (made["object"], made["role"], made["models"], made["requests_per_minute"]) == (
        "api_key",
        "member",
        ["a"],
        5,
    )
    listed = await get(admin, "/keys")
    assert [key["id"] for key in listed["data"]] == [made["id"], admin.key_id]
    assert all("key" not in key for key in listed["data"])
    assert made["key"] not in str(listed)
    async with openai.AsyncOpenAI(base_url=f"{api.url}/v1", api_key=made["key"], max_retries=0) as laptop:
        assert (await laptop.files.list()).data == []
        deleted = await admin.sdk.delete(f"/keys/{made['id']}", cast_to=object)
        assert (deleted["id"], deleted["deleted"]) == (made["id"], True)
        with pytest.raises(openai.AuthenticationError):
            await laptop.files.list()
    revoked, own = (await get(admin, "/keys"))["data"]
    assert revoked["revoked_at"] >= revoked["created_at"]
    assert own["revoked_at"] is None


async def test_keys_are_listed_page_by_page(new_member: NewMember) -> None:
    admin = await new_member("admin")
    for name in "abc":
        await post(admin, "/keys", name=name)
    first = await get(admin, "/keys", limit=2)
    assert ([key["name"] for key in first["data"]], first["has_more"]) == (["c", "b"], True)
    second = await get(admin, "/keys", limit=2, after=first["last_id"])
    assert ([key["name"] for key in second["data"]], second["has_more"]) == (["a", "test"], False)
    with pytest.raises(openai.BadRequestError) as caught:
        await get(admin, "/keys", after="key_none")
    assert caught.value.param == "after"


async def test_members_have_no_say_in_keys(member: Member) -> None:
    for ask in (
        get(member, "/keys"),
        post(member, "/keys", name="mine", role="admin"),
        member.sdk.delete(f"/keys/{member.key_id}", cast_to=object),
    ):
        with pytest.raises(openai.PermissionDeniedError, match="admin"):
            await ask


async def test_an_admin_does_not_lock_itself_out(new_member: NewMember) -> None:
    admin = await new_member("admin")
    with pytest.raises(openai.ConflictError):
        await admin.sdk.delete(f"/keys/{admin.key_id}", cast_to=object)
    for unknown in ("key_none", "nope"):
        with pytest.raises(openai.NotFoundError):
            await admin.sdk.delete(f"/keys/{unknown}", cast_to=object)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"name": ""}, "name"),
        ({"role": "owner"}, "role"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"tokens_per_minute": 2**31}, "tokens_per_minute"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2030-01-01T00:00:00"}, "expires_at"),
        ({"models": [""]}, "models[0]"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_bad_key_is_named(new_member: NewMember, fields: dict, param: str) -> None:
    admin = await new_member("admin")
    with pytest.raises(openai.BadRequestError) as caught:
        await post(admin, "/keys", **({"name": "a"} | fields))
    assert caught.value.param == param


def used(
    member: Member, request_id: str, model: str, at: datetime, *, cache_outcome: CacheOutcome = "miss"
) -> UsageRecord:
    paid = cache_outcome == "miss"
    legs = (
        Leg(provider="other", model=model, outcome="failed", failure="timeout"),
        Leg(
            provider="local",
            model=model,
            outcome="completed",
            prompt_tokens=10,
            completion_tokens=5,
            cost_microdollars=7,
        ),
    )
    return UsageRecord(
        tenant_id=member.tenant_id,
        request_id=request_id,
        key_id=member.key_id,
        endpoint="/v1/chat/completions",
        model=model,
        provider="local",
        prompt_tokens=10,
        completion_tokens=5,
        cost_microdollars=7 if paid else 0,
        saved_microdollars=0 if paid else 7,
        legs=legs if paid else (),
        cache_outcome=cache_outcome,
        outcome="completed",
        duration_ms=1,
        created_at=at,
    )


async def test_usage_is_the_tenants_for_an_admin_and_its_own_for_a_member(
    api: Api, new_member: NewMember
) -> None:
    admin = await new_member("admin")
    member = await new_member(tenant_id=admin.tenant_id)
    now = datetime.now(UTC)
    async with api.services.database.tenant(admin.tenant_id) as connection:
        await record_usage(
            connection,
            used(admin, "r1", "a", now),
            used(member, "r2", "a", now),
            used(member, "r3", "b", now),
            used(member, "r4", "b", now - timedelta(days=40)),
        )
    (today,) = (await get(admin, "/usage"))["data"]
    assert (today["requests"], today["prompt_tokens"], today["cost_microdollars"]) == (3, 30, 21)
    assert (today["day"], today["model"], today["key_id"]) == (str(now.date()), None, None)
    by_model = await get(admin, "/usage", group_by="model")
    assert [(row["model"], row["requests"]) for row in by_model["data"]] == [("a", 2), ("b", 1)]
    (own,) = (await get(member, "/usage"))["data"]
    assert (own["requests"], own["key_id"]) == (2, member.key_id)
    since = str((now - timedelta(days=50)).date())
    first = await get(member, "/usage", group_by="model", since=since, limit=2)
    assert ([row["model"] for row in first["data"]], first["has_more"]) == (["b", "a"], True)
    rest = await get(member, "/usage", group_by="model", since=since, limit=2, after=first["last_id"])
    assert ([row["model"] for row in rest["data"]], rest["has_more"]) == (["b"], False)


async def test_usage_says_what_the_cache_spared(api: Api, new_member: NewMember) -> None:
    admin = await new_member("admin")
    now = datetime.now(UTC)
    async with api.services.database.tenant(admin.tenant_id) as connection:
        await record_usage(
            connection,
            used(admin, "r1", "a", now),
            used(admin, "r2", "a", now, cache_outcome="hit"),
            used(admin, "r3", "b", now, cache_outcome="hit"),
        )
    (today,) = (await get(admin, "/usage"))["data"]
    assert (today["cost_microdollars"], today["saved_microdollars"], today["cache_hits"]) == (7, 14, 2)
    assert today["failures"] == 0
    by_two = await admin.sdk.get("/usage?group_by=model&group_by=cache_outcome", cast_to=object)
    assert [(row["model"], row["cache_outcome"]) for row in by_two["data"]] == [
        ("a", "hit"),
        ("a", "miss"),
        ("b", "hit"),
    ]
    by_outcome = (await get(admin, "/usage", group_by=["cache_outcome", "endpoint", "provider"]))["data"]
    assert [(row["cache_outcome"], row["requests"], row["saved_microdollars"]) for row in by_outcome] == [
        ("hit", 2, 14),
        ("miss", 1, 0),
    ]
    assert {(row["provider"], row["endpoint"], row["model"]) for row in by_outcome} == {
        ("local", "/v1/chat/completions", None)
    }


async def test_a_request_is_shown_with_its_legs_to_whom_it_belongs(api: Api, new_member: NewMember) -> None:
    admin = await new_member("admin")
    member = await new_member(tenant_id=admin.tenant_id)
    now = datetime.now(UTC)
    async with api.services.database.tenant(admin.tenant_id) as connection:
        await record_usage(connection, used(admin, "r1", "a", now), used(member, "r2", "a", now))
    shown = await get(admin, "/usage/r2")
    assert shown == await get(member, "/usage/r2")
    assert (shown["id"], shown["object"], shown["key_id"]) == ("r2", "usage.record", member.key_id)
    assert (shown["cost_microdollars"], shown["created_at"]) == (7, int(now.timestamp()))
    assert "tenant_id" not in shown
    assert [(leg["provider"], leg["outcome"], leg["failure"]) for leg in shown["legs"]] == [
        ("other", "failed", "timeout"),
        ("local", "completed", None),
    ]
    assert shown["legs"][1]["prompt_tokens"] == shown["prompt_tokens"] == 10
    stranger = await new_member("admin")
    for who, request_id in (
        (member, "r1"),
        (stranger, "r2"),
        (admin, "r9"),
        (admin, "no%00ne"),
        (admin, "é"),
    ):
        with pytest.raises(openai.NotFoundError):
            await get(who, f"/usage/{request_id}")


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"since": "2026-02-01", "until": "2026-01-01"}, "since"),
        ({"since": "2020-01-01", "until": "2026-01-01"}, "since"),
        ({"until": "0001-01-01"}, "until"),
        ({"until": "9999-12-31"}, "until"),
        ({"since": "yesterday"}, "since"),
        ({"group_by": "tenant_id"}, "group_by[0]"),
    ],
)
async def test_a_bad_range_is_named(member: Member, query: dict, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await get(member, "/usage", **query)
    assert caught.value.param == param
