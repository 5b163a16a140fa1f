"""Scrapes: started, shown, cancelled."""

import json

import openai
import pytest

from tests.integration.api_stack import Api, Member, bodies, count_rows

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
