"""Scrapes: started, shown, cancelled."""

import json

import httpx2
import openai
import pytest

from tests.integration.api_stack import Api, Member, NewMember, bodies, count_rows

pytest_plugins = ["tests.integration.api_fixtures"]


async def get(member: Member, path: str, **query) -> dict:
    return await member.sdk.get(path, cast_to=object, options={"params": query})


async def start(member: Member, url: str = "https://example.com/docs#top", **fields) -> dict:
    return await member.sdk.post("/scrapes", cast_to=object, body={"url": url} | fields)


async def test_a_scrape_starts_with_its_first_page(api: Api, member: Member) -> None:
    store = await member.sdk.vector_stores.create()
    made = await start(member, vector_store_id=store.id, depth=2, page_limit=50)
    assert (made["object"], made["status"], made["url"]) == ("scrape", "queued", "https://example.com/docs")
    assert (made["vector_store_id"], made["depth"], made["page_limit"]) == (store.id, 2, 50)
    (message,) = map(json.loads, await bodies(api.queues.scraping))
    assert message == {
        "tenant_id": member.tenant_id,
        "scrape_id": made["id"],
        "url": "https://example.com/docs",
        "depth": 0,
    }
    shown = await get(member, f"/scrapes/{made['id']}")
    assert (shown["page_counts"]["queued"], shown["page_counts"]["total"]) == (1, 1)
    (page,) = shown["pages"]["data"]
    assert (page["url"], page["status"], page["depth"]) == ("https://example.com/docs", "queued", 0)


async def test_a_cancelled_scrape_skips_what_is_queued(member: Member) -> None:
    made = await start(member)
    cancelled = await member.sdk.post(f"/scrapes/{made['id']}/cancel", cast_to=object)
    assert (cancelled["status"], cancelled["page_counts"]["skipped"]) == ("cancelled", 1)
    (page,) = (await get(member, f"/scrapes/{made['id']}", filter="skipped"))["pages"]["data"]
    assert page["reason"]
    assert (await get(member, f"/scrapes/{made['id']}", filter="queued"))["pages"]["data"] == []


async def test_scrapes_are_listed_newest_first(member: Member) -> None:
    made = [(await start(member, f"https://example.com/{i}"))["id"] for i in range(3)]
    first = await get(member, "/scrapes", limit=2)
    assert ([scrape["id"] for scrape in first["data"]], first["has_more"]) == (made[:0:-1], True)
    rest = await get(member, "/scrapes", limit=2, after=first["last_id"])
    assert ([scrape["id"] for scrape in rest["data"]], rest["has_more"]) == (made[:1], False)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"url": ""}, "url"),
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "https://user:secret@example.com"}, "url"),
        ({"url": "https://example.com/" + "a" * 3000}, "url"),
        ({"depth": -1}, "depth"),
        ({"depth": 6}, "depth"),
        ({"page_limit": 0}, "page_limit"),
        ({"page_limit": 1001}, "page_limit"),
        ({"vector_store_id": "nope"}, "vector_store_id"),
        ({"urls": ["https://example.com/", "ftp://example.com"]}, "url"),
        ({"urls": [f"https://example.com/{i}" for i in range(9)], "page_limit": 5}, "urls"),
        ({"sitemap": "file:///etc/passwd"}, "url"),
        ({"byte_limit": 0}, "byte_limit"),
        ({"include": ["x" * 501]}, "include[0]"),
        ({"scope": "everything"}, "scope"),
        ({"render": "maybe"}, "render"),
        ({"records": {"fields": {}}}, "records.fields"),
        ({"records": {"fields": {"a": {"xpath": "//a[.//b]"}}}}, "records.fields.a.xpath"),
        ({"webhook": {"url": "mailto:a@b.test"}}, "url"),
        ({"schedule": {"cron": "every day at nine"}}, "schedule.cron"),
        ({"schedule": {"cron": "0 3 * * *", "timezone": "Mars"}}, "schedule.timezone"),
    ],
)
async def test_a_bad_field_is_named(api: Api, member: Member, fields: dict, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await start(member, **fields)
    assert caught.value.param == param
    assert await count_rows(api.services.database, member.tenant_id) == {}


async def test_what_is_not_there_is_a_404(api: Api, member: Member) -> None:
    with pytest.raises(openai.NotFoundError):
        await start(member, vector_store_id="vs_none")
    for path in ("/scrapes/scrape_none", "/scrapes/nope"):
        with pytest.raises(openai.NotFoundError):
            await get(member, path)
        with pytest.raises(openai.NotFoundError):
            await member.sdk.post(f"{path}/cancel", cast_to=object)
    assert await count_rows(api.services.database, member.tenant_id) == {}


async def test_a_scrape_needs_somewhere_to_begin(api: Api, member: Member) -> None:
    with pytest.raises(openai.BadRequestError, match="'url', 'urls' or 'sitemap'"):
        await member.sdk.post("/scrapes", cast_to=object, body={"depth": 1})


async def test_all_that_may_be_asked_is_shown(api: Api, member: Member) -> None:
    made = await start(
        member,
        urls=["https://example.com/docs", "https://example.com/b"],
        sitemap="https://example.com/sitemap.xml",
        byte_limit=10_000_000,
        scope="domain",
        include=["/docs/*"],
        exclude=["*.pdf"],
        render="never",
        records={"fields": {"title": {"css": "h1"}}},
        webhook={"url": "https://example.com/hook"},
    )
    # With a depth of 0 of its own each is read once.
    assert made["page_counts"]["queued"] == 2
    sent = [json.loads(body) for body in await bodies(api.queues.scraping)]
    assert {message["url"] for message in sent if message["scrape_id"] == made["id"]} == {
        "https://example.com/docs",
        "https://example.com/b",
        "https://example.com/sitemap.xml",
    }
    shown = await get(member, f"/scrapes/{made['id']}")
    for name in ("byte_limit", "scope", "include", "exclude", "render", "webhook_url", "webhook_status"):
        assert shown[name] == made[name]
    assert (shown["byte_limit"], shown["scope"], shown["include"]) == (10_000_000, "domain", ["/docs/*"])
    assert (shown["webhook_url"], shown["webhook_status"]) == ("https://example.com/hook", "waiting")
    # Once, and never again.
    assert made["webhook_secret"].startswith("whsec_")
    assert "webhook_secret" not in shown


async def test_a_cancelled_scrape_is_reported(api: Api, member: Member) -> None:
    made = await start(member, webhook={"url": "https://example.com/hook"})
    await bodies(api.queues.scraping)
    cancelled = await member.sdk.post(f"/scrapes/{made['id']}/cancel", cast_to=object)
    assert cancelled["webhook_status"] == "due"
    (message,) = map(json.loads, await bodies(api.queues.scraping))
    assert message == {"tenant_id": member.tenant_id, "scrape_id": made["id"], "attempt": 0}


async def test_records_are_json_lines(api: Api, member: Member) -> None:
    made = await start(member, urls=["https://example.com/b"], records={"fields": {"a": {"css": "b"}}})
    async with api.services.database.tenant(member.tenant_id) as connection:
        await connection.execute("""UPDATE scrape_pages SET records = '[{"a": "\u00e9"}, {"a": null}]'""")
    path = f"/scrapes/{made['id']}/records"
    answer = await member.sdk.get(path, cast_to=httpx2.Response, options={"params": {"limit": 1}})
    assert answer.headers["content-type"] == "application/jsonl"
    url = "https://example.com/b"
    assert [json.loads(line) for line in answer.text.splitlines()] == [
        {"url": url, "a": "é"},
        {"url": url, "a": None},
    ]
    rest = await member.sdk.get(
        path, cast_to=httpx2.Response, options={"params": {"after": answer.headers["x-weir-after"]}}
    )
    assert [json.loads(line)["url"] for line in rest.text.splitlines()] == ["https://example.com/docs"] * 2
    assert "x-weir-after" not in rest.headers


async def test_a_schedule_is_kept_until_it_is_deleted(api: Api, member: Member) -> None:
    made = await start(member, schedule={"cron": "0 3 * * 1", "timezone": "Europe/Berlin"})
    (schedule,) = (await get(member, "/scrape_schedules"))["data"]
    assert (schedule["id"], schedule["cron"]) == (made["schedule_id"], "0 3 * * 1")
    assert schedule["url"] == "https://example.com/docs"
    assert schedule["next_run_at"] > made["created_at"]
    path = f"/scrape_schedules/{schedule['id']}"
    assert await get(member, path) == schedule
    assert (await member.sdk.delete(path, cast_to=object))["deleted"] is True
    for gone in (path, "/scrape_schedules/schedule_none", "/scrape_schedules/nope"):
        with pytest.raises(openai.NotFoundError):
            await member.sdk.delete(gone, cast_to=object)


async def test_a_schedule_is_its_tenants_own(member: Member, new_member: NewMember) -> None:
    made = await start(member, schedule={"cron": "0 3 * * 1"}, webhook={"url": "https://example.com/hook"})
    stranger = await new_member()
    assert (await get(stranger, "/scrape_schedules"))["data"] == []
    for path in (f"/scrape_schedules/{made['schedule_id']}", f"/scrapes/{made['id']}/records"):
        with pytest.raises(openai.NotFoundError):
            await get(stranger, path)
