"""A provider is a row."""

from datetime import UTC, datetime

import pytest

from shared.errors import NotFoundError
from shared.ledger.prices import cost_microdollars
from shared.providers.catalog import Catalog, CatalogError, Models
from shared.providers.load import load_catalog, load_credentials

MINE = """
[[providers]]
name = "mine"
base_url = "http://127.0.0.1:8080/v1"
secret = "none"
[[providers.models]]
kind = "chat"
name = "qwen3"
aliases = ["fast"]
context_window = 32768
price = { input = "0", output = "0" }
"""


@pytest.fixture
async def own() -> Catalog:
    return await load_catalog("")


def test_the_catalog_of_weir_itself_names_todays_models(own) -> None:
    models = Models(own)

    assert models.chat("deepseek-flash")[0].provider.base_url == "https://api.deepseek.com"
    assert models.chat("deepseek-v4-flash") == models.chat("deepseek-flash")
    assert models.embedding_model("text-embedding-3-small").dimensions == 1536
    for retired in ("deepseek-chat", "deepseek-reasoner"):
        with pytest.raises(NotFoundError):
            models.chat(retired)


@pytest.mark.parametrize(
    ("at", "cost"),
    [
        (datetime(2026, 11, 24, 4, 30, tzinfo=UTC), 150_000 + 600_000),  # 12:30 in Beijing
        (datetime(2026, 11, 24, 2, 0, tzinfo=UTC), 300_000 + 1_200_000),  # 10:00, peak
        (datetime(2026, 11, 28, 2, 0, tzinfo=UTC), 150_000 + 600_000),  # Saturday
    ],
)
def test_deepseek_costs_more_in_peak_hours(own, at, cost) -> None:
    price = Models(own).chat("deepseek-flash")[0].model.price

    total = cost_microdollars(
        price, prompt_tokens=1_000_000, cached_tokens=0, completion_tokens=1_000_000, at=at
    )

    assert total == cost


async def test_a_users_file_adds_rows_without_code(tmp_path, own) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text(MINE)

    catalog = await load_catalog(str(path))

    assert [p.name for p in catalog.providers] == [*(p.name for p in own.providers), "mine"]
    assert Models(catalog).chat("fast") == Models(catalog).chat("mine/qwen3")


async def test_a_row_of_the_same_name_replaces_weirs() -> None:
    own = await load_catalog("")
    other = Catalog.from_toml(MINE.replace('"mine"', '"deepseek"'))

    merged = own.extended_by(other)

    assert [p.base_url for p in merged.providers if p.name == "deepseek"] == ["http://127.0.0.1:8080/v1"]
    assert len(merged.providers) == len(own.providers)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (('name = "mine"', 'nam = "mine"'), "providers.0.name"),
        (("context_window = 32768", "context_window = -1"), "context_window"),
        (('price = { input = "0", output = "0" }', ""), "price"),
        (('kind = "chat"', 'kind = "music"'), "kind"),
        (("[[providers]]", "[[providers"), "cannot be read"),
    ],
)
def test_a_wrong_row_is_named(change, complaint) -> None:
    with pytest.raises(CatalogError, match=complaint):
        Catalog.from_toml(MINE.replace(*change, 1))


async def test_a_missing_file_is_named() -> None:
    with pytest.raises(CatalogError, match=r"nowhere\.toml"):
        await load_catalog("nowhere.toml")


async def test_only_providers_with_a_secret_are_served(monkeypatch, own) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-1")
    catalog = own.extended_by(Catalog.from_toml(MINE))

    credentials = await load_credentials(catalog, "env:{PROVIDER}_API_KEY")

    assert [(c.provider.name, c.api_key) for c in credentials] == [("deepseek", "sk-1"), ("mine", "none")]
