"""Records by a JSON schema: asked for over the API, filled in by the local model, read over the API."""

import json
from pathlib import Path

import httpx2
import openai
import pytest

from local.components.storage import QueueUrls
from shared.aws.objects import Objects
from tests.integration.api_stack import Api, Member, bodies, count_rows
from tests.integration.scraping_crawler import Crawler, Handle
from tests.integration.scraping_site import Site, article

pytest_plugins = ["tests.integration.api_fixtures", "tests.integration.scraping_fixtures"]

MODEL = "smollm2-135m-instruct"
# The other model is asked by nobody: it does not keep to a schema.
CATALOG = """
[[providers]]
name = "local"
base_url = "{url}"
secret = "none"
[[providers.models]]
kind = "chat"
name = "loose"
context_window = 8192
price = {{ input = "1", output = "2" }}
[[providers.models]]
kind = "chat"
name = "smollm2-135m-instruct"
context_window = 8192
abilities = ["json_object", "json_schema"]
price = {{ input = "1", output = "2" }}
"""

# As pydantic writes the schema of a model in a model.
SCHEMA = {
    "$defs": {"Language": {"enum": ["English", "Chinese"], "title": "Language", "type": "string"}},
    "properties": {"language": {"$ref": "#/$defs/Language"}, "long": {"title": "Long", "type": "boolean"}},
    "required": ["language", "long"],
    "title": "Page",
    "type": "object",
}


@pytest.fixture(scope="module")
def catalog(llm_url: str) -> str:
    return CATALOG.format(url=llm_url)


@pytest.fixture(scope="module")
def api_environment(
    api_environment: dict[str, str], catalog: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    path: Path = tmp_path_factory.mktemp("catalog") / "catalog.toml"
    path.write_text(catalog)
    return {**api_environment, "WEIR_CATALOG": str(path)}


@pytest.fixture
def queues(api_queues: QueueUrls) -> QueueUrls:
    return api_queues


@pytest.fixture
def objects(api_environment: dict[str, str]) -> Objects:
    return Objects(api_environment["WEIR_BUCKET"])


async def test_records_are_filled_in_by_the_catalogs_model(
    api: Api, member: Member, site: Site, handle: Handle
) -> None:
    site.pages["/"] = article("Rivers")
    body = {"url": f"{site.url}/", "records": {"json_schema": SCHEMA}}
    made = await member.sdk.post("/scrapes", cast_to=object, body=body)
    crawler = Crawler(handle, api.services.database, member.tenant_id, api.queues.scraping)
    await crawler.step()
    shown = await member.sdk.get(f"/scrapes/{made['id']}", cast_to=object)
    assert (shown["status"], shown["pages"]["data"][0]["reason"]) == ("completed", None)
    answer = await member.sdk.get(f"/scrapes/{made['id']}/records", cast_to=httpx2.Response)
    (record,) = map(json.loads, answer.text.splitlines())
    assert record["url"] == f"{site.url}/"
    assert record["language"] in ("English", "Chinese")
    assert isinstance(record["long"], bool)
    (usage,) = map(json.loads, await bodies(api.queues.usage))
    assert {(r["key_id"], r["model"], r["outcome"]) for r in usage["records"]} == {
        (member.key_id, MODEL, "completed")
    }


@pytest.mark.parametrize(
    ("records", "param", "reason"),
    [
        ({"json_schema": {"type": "array"}}, "records.json_schema", "of the type 'object'"),
        ({"json_schema": "x"}, "records.json_schema", "valid dictionary"),
        ({"json_schema": SCHEMA, "fields": {}}, "records.fields", "not known"),
        (
            {"json_schema": {"type": "object", "patternProperties": {}}},
            "records.json_schema",
            "'patternProperties' is not supported",
        ),
    ],
)
async def test_a_schema_that_is_none_is_named(
    api: Api, member: Member, records: dict, param: str, reason: str
) -> None:
    body = {"url": "https://example.com/", "records": records}
    with pytest.raises(openai.BadRequestError, match=reason) as caught:
        await member.sdk.post("/scrapes", cast_to=object, body=body)
    assert caught.value.param == param
    assert await count_rows(api.services.database, member.tenant_id) == {}


async def test_a_model_that_is_not_there_is_named(member: Member) -> None:
    body = {"url": "https://example.com/", "records": {"json_schema": SCHEMA, "model": "none"}}
    with pytest.raises(openai.NotFoundError) as caught:
        await member.sdk.post("/scrapes", cast_to=object, body=body)
    assert caught.value.param == "records.model"
