"""A provider is a row."""

from datetime import UTC, datetime

import pytest

from shared.errors import NotFoundError
from shared.ledger.prices import cost_microdollars
from shared.providers.catalog import Catalog, CatalogError, Models
from shared.providers.fallbacks import check_fallbacks
from shared.providers.load import load_catalog, load_credentials
from shared.routing.route import chat_route

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


def chain(**fallbacks: list[str]) -> Catalog:
    """One provider with a model for each name, which falls back as given."""
    row = (
        '[[providers.models]]\nkind = "chat"\nname = "{}"\ncontext_window = 9\n'
        'price = {{ input = "0", output = "0" }}\nfallbacks = {}\n'
    )
    head = '[[providers]]\nname = "mine"\nbase_url = "http://127.0.0.1:1/v1"\n'
    return Catalog.from_toml(head + "".join(row.format(name, list(to)) for name, to in fallbacks.items()))


def test_fallbacks_are_followed_in_order() -> None:
    models = Models(chain(a=["b", "c"], b=["d"], c=["d"], d=[]))

    route = chat_route(models, "a")

    assert [[d.model.name for d in tier] for tier in route.tiers] == [["a"], ["b"], ["c"], ["d"]]


def test_a_request_names_its_own_fallbacks() -> None:
    models = Models(chain(a=["b"], b=[], c=[]))

    assert len(chat_route(models, "a", []).tiers) == 1
    assert [t[0].model.name for t in chat_route(models, "a", ["c", "a", "c"]).tiers] == ["a", "c"]
    with pytest.raises(NotFoundError):
        chat_route(models, "a", ["nowhere"])


def test_fallbacks_that_are_not_served_are_passed_over() -> None:
    assert [t[0].model.name for t in chat_route(Models(chain(a=["gone", "b"], b=[])), "a").tiers] == [
        "a",
        "b",
    ]


@pytest.mark.parametrize(
    ("fallbacks", "complaint"),
    [
        ({"a": ["nowhere"]}, "'a' falls back to 'nowhere'"),
        ({"a": ["b"], "b": ["c"], "c": ["a"]}, "circle: a -> b -> c -> a"),
        ({"a": ["a"]}, "circle: a -> a"),
        ({"a": ["mine/a"]}, "circle: a -> a"),
    ],
)
def test_fallbacks_that_lead_nowhere_or_back_are_refused(fallbacks, complaint) -> None:
    with pytest.raises(CatalogError, match=complaint):
        check_fallbacks(chain(**fallbacks))


async def test_a_users_catalog_is_checked_together_with_weirs(tmp_path) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text(MINE + 'fallbacks = ["deepseek-flash"]\n')
    assert Models(await load_catalog(str(path))).chat("qwen3")

    path.write_text(MINE + 'fallbacks = ["text-embedding-3-small"]\n')
    with pytest.raises(CatalogError, match="no chat model"):
        await load_catalog(str(path))


async def test_each_key_is_a_deployment(monkeypatch) -> None:
    monkeypatch.setenv("ONE", "sk-1")
    monkeypatch.setenv("THREE", "sk-3")
    catalog = Catalog.from_toml(
        MINE.replace('secret = "none"', 'secrets = ["env:ONE", "env:TWO", "env:THREE"]')
    )
    assert len(Models(catalog).chat("qwen3")) == 3

    credentials = await load_credentials(catalog, "")

    assert [(c.api_key, c.key) for c in credentials] == [("sk-1", 1), ("sk-3", 2)]
    served = Models(Catalog(providers=(credentials[0].provider,))).chat("qwen3")
    assert [d.deployment_id for d in served] == ["mine/qwen3", "mine/qwen3#2"]


@pytest.mark.parametrize("field", ["weight = 0", "weight = -1", "priority = -1", "limits = { tokens = 3 }"])
def test_routing_fields_are_checked(field) -> None:
    with pytest.raises(CatalogError):
        Catalog.from_toml(MINE + field)


def test_one_kind_of_secret() -> None:
    with pytest.raises(CatalogError, match="not both"):
        Catalog.from_toml(MINE.replace('secret = "none"', 'secret = "env:A"\nsecrets = ["env:B"]'))
