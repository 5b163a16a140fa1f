"""Nothing is embedded twice, and a store changes its embedding model while it is searched."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from cleanup.unfinished import resend_changes
from local.components.storage import QueueUrls
from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.errors import UpstreamError
from shared.knowledge.means import IngestionLimits
from shared.knowledge.messages import ReembedStore
from shared.knowledge.model_change import begin_change
from shared.knowledge.search import SearchQuery, search
from shared.postgres.database import Database
from tests.integration.api_stack import bodies
from tests.integration.knowledge_world import MODEL, LocalEmbedder, World
from tests.integration.test_ingestion import Desk

LINES = [f"# Rule {n}\n\nRule number {n} of the kitchen says to wash {n} cups." for n in range(6)]


@pytest.fixture
def desk(database: Database, tenant_id: str, objects: Objects, queues: QueueUrls) -> Desk:
    return Desk(World(database, tenant_id), objects, queues)


def text(lines: Sequence[str]) -> bytes:
    # Long enough that each rule is a chunk of its own.
    return "\n\n".join(f"{line} {'It is a good rule to keep. ' * 11}" for line in lines).encode()


async def test_what_did_not_change_is_not_embedded_again(desk: Desk) -> None:
    store = await desk.world.new_store()
    file = await desk.upload("rules.md", text(LINES), store)
    await desk.announce(file, "rules.md")
    assert len(desk.embedder.texts) == len(LINES)
    changed = [LINES[0], "# Rule new\n\nA rule that nobody knew.", *LINES[1:4]]
    await desk.put(file, "rules.md", text(changed))
    await desk.announce(file, "rules.md")
    assert len(desk.embedder.texts) == len(LINES) + 1
    assert "nobody knew" in desk.embedder.texts[-1]
    assert desk.counted["VectorsReused"] == 4
    # The vectors that were taken over are those of their texts.
    for line in changed:
        assert (await desk.ask(store, line))[0].startswith(line)
    # Neither in another store of the model, but in one of another model, and at another tenant.
    again, other = await desk.world.new_store(), await desk.world.new_store(model="another")
    for target in (again, other):
        await desk.world.attach(target, file)
        await desk.worker.handle(desk.job(target, file).model_dump_json())
    assert len(desk.embedder.texts) == len(LINES) + 1 + len(changed)
    stranger = Desk(World(desk.world.database, f"{desk.world.tenant_id}_x"), desk.objects, desk.queues)
    await stranger.announce(
        await stranger.upload("rules.md", text(changed), await stranger.world.new_store()), "rules.md"
    )
    assert len(stranger.embedder.texts) == len(changed)


async def test_a_deleted_file_leaves_no_vector_to_reuse(desk: Desk) -> None:
    for _ in range(2):
        store = await desk.world.new_store()
        file = await desk.upload("rules.md", text(LINES), store)
        await desk.announce(file, "rules.md")
        await desk.world.rows("DELETE FROM vector_stores WHERE vector_store_id = %s RETURNING 1", store)
    assert len(desk.embedder.texts) == 2 * len(LINES)


class Halved(LocalEmbedder):
    """Knows a second model: the first half of the numbers, under the name `half`."""

    def __init__(self) -> None:
        super().__init__()
        self.models: list[str] = []
        self.broken = False

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        if self.broken:
            raise UpstreamError("The provider did not answer.")
        self.models += [model] * len(texts)
        vectors = await super().embed(model, texts)
        return [vector[:256] for vector in vectors] if model == "half" else vectors


async def change(desk: Desk, store: str, model: str = "half", dimensions: int = 256) -> str:
    async with desk.world.database.tenant(desk.world.tenant_id) as connection:
        message = await begin_change(connection, desk.world.tenant_id, store, model, dimensions)
    assert message is not None
    return message.model_dump_json()


async def ask(desk: Desk, embedder: Halved, store: str, question: str) -> str:
    embedder.models.clear()
    query = SearchQuery(vector_store_ids=(store,), text=question)
    return (await search(desk.world.database, embedder, desk.world.tenant_id, query))[0].text


async def state(desk: Desk, store: str) -> dict[str, object]:
    (row,) = await desk.world.rows("SELECT * FROM vector_stores WHERE vector_store_id = %s", store)
    return row


async def test_the_old_index_serves_until_all_is_embedded_anew(desk: Desk) -> None:
    embedder = Halved()
    worker = desk.new_worker(embedder, IngestionLimits(reembedded_chunks=4))
    store = await desk.world.new_store()
    file = await desk.upload("rules.md", text(LINES), store, status="uploaded")
    await worker.handle(desk.job(store, file).model_dump_json())
    used = int(str((await desk.state(file))["usage_bytes"]))
    message = await change(desk, store)
    await worker.handle(message)
    assert embedder.models == [MODEL] * 6 + ["half"] * 4
    assert (await ask(desk, embedder, store, LINES[5])).startswith(LINES[5])
    assert embedder.models == [MODEL]
    # A file that comes in the middle of it is in the index that serves, and not forgotten.
    late = await desk.upload("late.md", b"# Late\n\nThe late rule is about spoons.", store, status="uploaded")
    await worker.handle(desk.job(store, late).model_dump_json())
    while (await state(desk, store))["next_embedding_model"] is not None:
        assert (await ask(desk, embedder, store, "late spoons")).startswith("# Late")
        assert embedder.models == [MODEL]
        (body,) = await bodies(desk.queues.ingestion)
        await worker.handle(body)
    for question in ("# Late", *LINES):
        assert (await ask(desk, embedder, store, question)).startswith(question)
        assert embedder.models == ["half"]
    now = await state(desk, store)
    assert (now["embedding_model"], now["dimensions"], now["space"]) == ("half", 256, 1)
    assert await desk.world.rows("SELECT * FROM chunk_embeddings_512") == []
    (row,) = await desk.world.rows("SELECT count(*) AS n FROM chunk_embeddings_256")
    assert row["n"] == 7
    (row,) = await desk.world.rows("SELECT usage_bytes FROM vector_store_files WHERE file_id = %s", file)
    assert row["usage_bytes"] == used - 6 * 256 * 2
    # The message again finds nothing to do.
    await worker.handle(message)
    assert await bodies(desk.queues.ingestion) == []


async def test_a_model_of_the_same_size_is_kept_apart(desk: Desk) -> None:
    embedder = Halved()
    worker = desk.new_worker(embedder)
    store = await desk.world.new_store()
    file = await desk.upload("rules.md", text(LINES), store, status="uploaded")
    await worker.handle(desk.job(store, file).model_dump_json())
    await worker.handle(await change(desk, store, "twin", 512))
    assert (await ask(desk, embedder, store, LINES[3])).startswith(LINES[3])
    assert embedder.models == ["twin"]
    (row,) = await desk.world.rows("SELECT count(*) AS n, min(space) AS s FROM chunk_embeddings_512")
    assert (row["n"], row["s"]) == (6, 1)


async def test_a_file_embedded_by_the_old_model_is_embedded_again(desk: Desk) -> None:
    store = await desk.world.new_store()
    file = await desk.upload("rules.md", text(LINES), store, status="uploaded")

    class Overtaken(Halved):
        overtaken = False

        async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
            if not self.overtaken:
                self.overtaken = True
                await desk.new_worker(self).handle(await change(desk, store))
            return await super().embed(model, texts)

    embedder = Overtaken()
    worker = desk.new_worker(embedder)
    job = desk.job(store, file).model_dump_json()
    with pytest.raises(Exception, match="embedding model changed"):
        await worker.handle(job)
    await worker.handle(job)
    assert (await desk.state(file))["status"] == "completed"
    assert (await ask(desk, embedder, store, LINES[3])).startswith(LINES[3])


async def test_a_change_that_cannot_be_made_is_given_up_with_the_reason(desk: Desk) -> None:
    embedder = Halved()
    worker = desk.new_worker(embedder, IngestionLimits(max_attempts=2))
    store = await desk.world.new_store()
    file = await desk.upload("rules.md", text(LINES), store, status="uploaded")
    await worker.handle(desk.job(store, file).model_dump_json())
    message = await change(desk, store)
    embedder.broken = True
    for _ in range(2):
        with pytest.raises(UpstreamError):
            await worker.handle(message)
    embedder.broken = False
    now = await state(desk, store)
    assert (now["embedding_model"], now["next_embedding_model"]) == (MODEL, None)
    assert now["reembed_error"] == "Weir gave up after 2 tries. The provider did not answer."
    await worker.handle(message)
    assert (await ask(desk, embedder, store, LINES[2])).startswith(LINES[2])
    # A second one goes well, and the first one's message is none of its business.
    second = await change(desk, store)
    await worker.handle(message)
    assert (await state(desk, store))["next_embedding_model"] == "half"
    await worker.handle(second)
    assert (await state(desk, store))["reembed_error"] is None


async def test_a_change_whose_message_was_lost_is_sent_again(desk: Desk) -> None:
    world, queue = desk.world, Queue(desk.queues.ingestion)
    store = await world.new_store()
    message = ReembedStore.model_validate_json(await change(desk, store))
    assert await resend_changes(world.database, queue, world.tenant_id, idle=timedelta(0), limit=9) == 1
    assert [ReembedStore.model_validate_json(b) for b in await bodies(desk.queues.ingestion)] == [message]
    assert await resend_changes(world.database, queue, world.tenant_id, idle=timedelta(hours=1), limit=9) == 0
