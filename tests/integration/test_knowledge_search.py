"""Search over real PostgreSQL with the real local embedding model."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.errors import NotFoundError
from shared.knowledge import candidates
from shared.knowledge.filters import AttributeFilter, Comparison, Compound, Membership
from shared.knowledge.search import Passage, SearchQuery, search
from shared.knowledge.signals import counted
from shared.postgres.database import Database
from shared.providers.failures import UpstreamFailure
from tests.integration.knowledge_world import LocalEmbedder, World, encode

WEIR = "# Rivers\n\nA weir is a low dam built across a river to raise the level of the water."
BREAD = "# Kitchen\n\nBread is baked from flour, water, salt and yeast in a hot oven."
REFUND = "# 退款\n\n退款在七个工作日内到账，请保留订单号。"


@pytest.fixture
def world(database: Database, tenant_id: str) -> World:
    return World(database, tenant_id)


@pytest.fixture
async def store(world: World) -> str:
    store = await world.new_store()
    await world.add(store, "weir.md", WEIR, lang="en", year=2024, draft=False)
    await world.add(store, "bread.md", BREAD, lang="en", year=2026)
    await world.add(store, "refund.md", REFUND, lang="zh", year=2026.5, draft=True)
    return store


async def find(world: World, *stores: str, text: str, **options: object) -> list[Passage]:
    query = SearchQuery(vector_store_ids=stores, text=text, **options)
    return await search(world.database, LocalEmbedder(), world.tenant_id, query)


async def names(world: World, store: str, **query: object) -> list[str]:
    return [passage.filename for passage in await find(world, store, **query)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What raises the level of a river?", "weir.md"),
        ("How do bakers make a loaf?", "bread.md"),
        ("退款多久到账？", "refund.md"),
        ("how many days until I get my money back", "refund.md"),
        ("怎样做面包", "bread.md"),
    ],
)
async def test_words_and_meaning_in_both_languages_and_across(
    world: World, store: str, text: str, expected: str
) -> None:
    assert (await names(world, store, text=text))[0] == expected


async def test_a_passage_knows_its_place(world: World, store: str) -> None:
    best, *rest = await find(world, store, text="weir across a river")
    assert (best.filename, best.headings, best.attributes["year"]) == ("weir.md", ("Rivers",), 2024)
    assert best.text == WEIR[best.char_start : best.char_end]
    assert 0 <= max(passage.score for passage in rest) < 0.5 < best.score <= 1


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Comparison(type="eq", key="lang", value="en"), {"weir", "bread"}),
        (Comparison(type="eq", key="draft", value=False), {"weir"}),
        (Comparison(type="ne", key="draft", value=True), {"weir", "bread"}),
        (Comparison(type="gt", key="year", value=2026), {"refund"}),
        (Comparison(type="gte", key="year", value=2026), {"refund", "bread"}),
        (Comparison(type="lt", key="lang", value="f"), {"weir", "bread"}),
        (Comparison(type="lte", key="lang", value=5), set()),
        (Comparison(type="eq", key="none", value="x"), set()),
        (Membership(type="in", key="year", value=(2024, 2026)), {"weir", "bread"}),
        (Membership(type="nin", key="draft", value=(True,)), {"weir", "bread"}),
        (Membership(type="in", key="lang", value=()), set()),
        (Comparison(type="eq", key="x' OR true --", value="%s"), set()),
    ],
)
async def test_filters(world: World, store: str, wanted: AttributeFilter, expected: set[str]) -> None:
    found = await names(world, store, text="退款 weir bread", filters=wanted)
    assert set(found) == {f"{name}.md" for name in expected}


async def test_filters_combine(world: World, store: str) -> None:
    wanted = Compound(
        type="or",
        filters=(
            Compound(
                type="and",
                filters=(
                    Comparison(type="eq", key="lang", value="en"),
                    Comparison(type="gt", key="year", value=2025),
                ),
            ),
            Comparison(type="eq", key="lang", value="zh"),
        ),
    )
    assert set(await names(world, store, text="weir", filters=wanted)) == {"bread.md", "refund.md"}


async def test_several_stores_with_different_models_are_searched_as_one(world: World, store: str) -> None:
    other = await world.new_store(model="use-cut-short", dimensions=256)
    file = await world.new_file("tides.md")
    await world.attach(other, file)
    await world.index(other, file, "Tides raise the level of the sea twice a day.", dimensions=256)
    embedder = CutShort()
    query = SearchQuery(vector_store_ids=(store, other), text="What raises the level of water?")
    found = await search(world.database, embedder, world.tenant_id, query)
    assert {passage.filename for passage in found[:2]} == {"weir.md", "tides.md"}
    assert len(found) == 4
    assert sorted(embedder.models) == ["use-cut-short", "use-multilingual-v3"]


class CutShort:
    """The local model under two names, of which one has half the numbers."""

    def __init__(self) -> None:
        self.models: list[str] = []

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        self.models.append(model)
        size = 256 if model == "use-cut-short" else 512
        return [vector[:size] for vector in await asyncio.to_thread(encode, list(texts))]


async def test_the_tenants_of_stores_are_apart(world: World, store: str) -> None:
    stranger = World(world.database, f"{world.tenant_id}_stranger")
    with pytest.raises(NotFoundError):
        await find(stranger, store, text="weir")
    own = await stranger.new_store()
    with pytest.raises(NotFoundError):
        await find(stranger, own, store, text="weir")
    # The one function that runs outside row-level security is asked for the store by name.
    rows = await stranger.rows(
        "SELECT * FROM find_terms(%s, %s::tsquery, '{weir}', '{weir}', '{1}', NULL, 10, 10)",
        store,
        f"'{store}'",
    )
    assert rows == []
    assert await stranger.rows("SELECT * FROM chunks") == []
    assert await stranger.rows("SELECT * FROM chunk_embeddings_512") == []


async def test_scores_mean_the_same_in_every_search(world: World, store: str) -> None:
    (near,) = await find(world, store, text="A weir is a low dam built across a river", max_results=1)
    (far,) = await find(world, store, text="quantum chromodynamics of neutron stars", max_results=1)
    assert near.score > 0.6
    assert far.score < 0.2
    assert await find(world, store, text="quantum chromodynamics", score_threshold=0.5) == []
    filtered = Comparison(type="eq", key="lang", value="en")
    (alone,) = await find(
        world, store, text="A weir is a low dam built across a river", max_results=1, filters=filtered
    )
    assert alone.score == pytest.approx(near.score)


class Silent:
    """A provider that is gone."""

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        raise UpstreamFailure("unreachable", "nowhere", "connection refused")


async def test_without_embeddings_words_are_searched(world: World, store: str) -> None:
    query = SearchQuery(vector_store_ids=(store,), text="Who bakes bread?")
    (found,) = await search(world.database, Silent(), world.tenant_id, query)
    assert found.filename == "bread.md"


@pytest.mark.parametrize("text", ["?!", "🤷", "the", "'; DROP TABLE chunks; --", "x" * 5000, "a\\'b"])
async def test_any_text_can_be_asked(world: World, store: str, text: str) -> None:
    assert len(await find(world, store, text=text)) == 3


async def test_an_empty_store_has_no_passages(world: World) -> None:
    assert await find(world, await world.new_store(), text="weir") == []


async def test_large_stores_are_searched_by_their_indexes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the bounds of a large store, a small one gives the same answers through HNSW and common terms."""
    store = await world.new_store()
    wanted = await world.add(store, "weir.md", WEIR, lang="en")
    for n in range(30):
        await world.add(store, f"{n}.md", f"{BREAD} Loaf number {n} is the best.", lang="de")
    monkeypatch.setattr(candidates, "_EXACT_BELOW", 0)
    monkeypatch.setattr(candidates, "_EXAMINED", 3)
    assert (await find(world, store, text="a dam in a river"))[0].file_id == wanted
    only = Comparison(type="eq", key="lang", value="en")
    assert [p.file_id for p in await find(world, store, text="bread loaf", filters=only)] == [wanted]
    assert len(await find(world, store, text="bread", max_results=50)) == 31


async def test_occurrences_are_read_off_ranks(world: World) -> None:
    rows = await world.rows(
        """
        SELECT n, ts_rank('{1,1,1,1}', ('dam:' || places || ' weir:1')::tsvector, 'dam') AS rank
        FROM (SELECT n, (SELECT string_agg((2 * i)::text, ',') FROM generate_series(1, n) i) AS places
              FROM generate_series(1, 255) n) many
        """
    )
    assert [counted(row["rank"]) for row in rows] == [row["n"] for row in rows]
    # A term past the places that a tsvector can number.
    (row,) = await world.rows("SELECT ts_rank('{1,1,1,1}', 'dam'::tsvector, 'dam'::tsquery) AS rank")
    assert counted(row["rank"]) == 1
