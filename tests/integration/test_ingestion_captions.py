"""Pictures and scanned pages: a vision model is asked once for each, and what it says is found."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local.components.storage import QueueUrls
from shared.aws.objects import Objects
from shared.documents.parts import PartSizes
from shared.documents.pdf_image import page_image
from shared.documents.source import Source
from shared.errors import BudgetError
from shared.knowledge.captions import Captions
from shared.knowledge.means import IngestionLimits
from shared.knowledge.messages import IngestPart
from shared.ledger.outbox import UsageOutbox
from shared.ledger.usage import UsageBatch, UsageRecord
from shared.postgres.database import Database
from shared.providers.catalog import Catalog, CatalogError, Models
from shared.providers.failures import UpstreamFailure
from shared.providers.load import load_credentials
from shared.routing.patience import Patience
from shared.routing.payer import Payer
from shared.routing.router import Router
from shared.routing.viewing import RoutedViewer, vision_route
from shared.telemetry import logger
from tests.contract.bench import MemoryQueue
from tests.contract.upstream import Reply, Upstream, running_upstream
from tests.integration.api_stack import bodies
from tests.integration.knowledge_world import InProcess, World
from tests.integration.test_ingestion import Desk, run
from tests.unit.documents.made_files import Rectangle, Words, pdf

CATALOG = """
[[providers]]
name = "seeing"
base_url = "{url}"
secret = "none"
[[providers.models]]
kind = "chat"
name = "eyes"
context_window = 8192
abilities = ["vision"]
price = {{ input = "1", output = "2" }}
[[providers.models]]
kind = "chat"
name = "blind"
context_window = 8192
price = {{ input = "1", output = "2" }}
"""

PNG = b"\x89PNG\r\n\x1a\n" + b"a kettle"
SCANS = pdf([Rectangle()], [Words("Prices are on the next page.", 700)], [Rectangle()])


class Scanner(InProcess):
    """Draws pages that are as different as those of a real scan."""

    async def page_image(self, path: Path, page: int) -> bytes:
        return await super().page_image(path, page) + bytes([page])


def says(text: str, **more: Any) -> Reply:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", **more}
    return Reply({"choices": [choice], "usage": {"prompt_tokens": 900, "completion_tokens": 40}})


BUSY = Reply({"error": {"message": "busy"}}, 503)
REFUSED = Reply({"error": {"message": "the picture is not acceptable"}}, 400)


@dataclass
class Sight:
    """A desk whose worker sees by `upstream`."""

    desk: Desk
    upstream: Upstream
    router: Router
    models: Models
    queue: MemoryQueue = field(default_factory=MemoryQueue)

    def caption_of(self) -> Callable[[str, str], Any]:
        def viewer_of(tenant_id: str) -> RoutedViewer:
            outbox = UsageOutbox(self.queue, "inline", logger("test"))  # type: ignore[arg-type]
            payer = Payer(tenant_id, "ingestion", "ingestion")
            route = vision_route(self.models, "eyes")
            return RoutedViewer(route, self.router, outbox, payer, clock, seconds=60.0)

        return Captions(
            database=self.desk.world.database,
            model="eyes",
            viewer_of=viewer_of,
            seconds=60.0,
            clock=clock,
        ).of

    @property
    def records(self) -> list[UsageRecord]:
        return [r for message in self.queue.sent if isinstance(message, UsageBatch) for r in message.records]

    async def captions(self) -> int:
        rows = await self.desk.world.rows("SELECT caption FROM picture_captions")
        return len(rows)


def clock() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def sight(
    database: Database, tenant_id: str, objects: Objects, queues: QueueUrls
) -> AsyncIterator[Sight]:
    desk = Desk(World(database, tenant_id), objects, queues)
    async with running_upstream() as upstream:
        catalog = Catalog.from_toml(CATALOG.format(url=upstream.url))
        router = Router(await load_credentials(catalog, "env:NO"), patience=Patience(back_off_seconds=0.01))
        sight = Sight(desk, upstream, router, Models(catalog))
        desk.parser = Scanner()
        desk.worker = desk.new_worker(desk.embedder, caption_of=sight.caption_of())
        yield sight
        await router.close()


async def test_a_picture_is_found_by_what_the_model_sees_in_it(sight: Sight) -> None:
    desk = sight.desk
    sight.upstream.replies = [says("A red kettle on a stove.\n\nIt says: two litres.")]
    stores = [await desk.world.new_store() for _ in range(2)]
    file = await desk.upload("kettle.png", PNG, *stores, status="uploaded")
    assert [await run(desk.worker, desk.job(store, file)) for store in stores] == ["completed"] * 2
    (passage,) = await desk.ask(stores[1], "What stands on the stove?")
    assert passage.startswith("A red kettle")
    # The second store needed no second call.
    (asked,) = sight.upstream.requests
    text, picture = asked["messages"][0]["content"]
    assert (asked["model"], text["type"], picture["type"]) == ("eyes", "text", "image_url")
    head, _, data = picture["image_url"]["url"].partition(",")
    assert (head, base64.b64decode(data)) == ("data:image/png;base64", PNG)
    (record,) = sight.records
    assert (record.endpoint, record.prompt_tokens, record.cost_microdollars) == ("ingestion", 900, 980)


async def test_the_same_picture_in_another_file_is_not_asked_again_and_a_caption_goes_with_its_file(
    sight: Sight,
) -> None:
    desk = sight.desk
    sight.upstream.replies = [says("A red kettle.")]
    store = await desk.world.new_store()
    files = [await desk.upload(f"{n}.png", PNG, store, status="uploaded") for n in range(2)]
    for file in files:
        assert await run(desk.worker, desk.job(store, file)) == "completed"
    assert (len(sight.upstream.requests), await sight.captions()) == (1, 2)
    await desk.world.rows("DELETE FROM files WHERE file_id = %s RETURNING 1", files[0])
    assert await sight.captions() == 1


async def test_scanned_pages_are_read_and_found_with_their_page(sight: Sight) -> None:
    desk = sight.desk
    sight.upstream.replies = [says("A cover with a kettle."), says("| Kettle | 12 euros |")]
    store = await desk.world.new_store()
    file = await desk.upload("scan.pdf", SCANS, store, status="uploaded")
    assert await run(desk.worker, desk.job(store, file)) == "completed"
    found = await desk.world.rows("SELECT text, page_first FROM chunks ORDER BY ordinal")
    assert any("12 euros" in row["text"] for row in found)
    assert (await desk.state(file))["unread_pages"] == []
    (passage, *_) = await desk.ask(store, "How many euros is a kettle?")
    assert "12 euros" in passage


async def test_without_a_model_the_file_says_which_pages_were_not_read(sight: Sight) -> None:
    desk = sight.desk
    worker = desk.new_worker(desk.embedder)
    store = await desk.world.new_store()
    file = await desk.upload("scan.pdf", SCANS, store, status="uploaded")
    assert await run(worker, desk.job(store, file)) == "completed"
    assert (await desk.state(file))["unread_pages"] == [1, 3]
    picture = await desk.upload("kettle.png", PNG, store, status="uploaded")
    assert await run(worker, desk.job(store, picture)) == "failed"
    state = await desk.state(picture)
    assert (state["error_code"], "no vision model is set" in str(state["error_message"])) == (
        "unsupported_file",
        True,
    )


async def test_a_file_in_parts_says_which_pages_were_not_read(sight: Sight) -> None:
    desk = sight.desk
    desk.parser.sizes = PartSizes(pages=1)
    sight.upstream.replies = [REFUSED, says("A list of prices.")]
    store = await desk.world.new_store()
    file = await desk.upload("scan.pdf", SCANS + b"\n", store, status="uploaded")
    await desk.worker.handle(desk.job(store, file).model_dump_json())
    parts = await bodies(desk.queues.ingestion)
    assert len(parts) == 3
    # Every message comes twice.
    for body in sorted(parts * 2, key=lambda body: IngestPart.model_validate_json(body).part):
        await desk.worker.handle(body)
    state = await desk.state(file)
    assert (state["status"], state["unread_pages"]) == ("completed", [1])
    assert len(sight.upstream.requests) == 2
    found = await desk.world.rows("SELECT page_first FROM chunks WHERE text LIKE '%%prices.'")
    assert [row["page_first"] for row in found] == [3]


async def test_what_was_read_before_a_failure_is_not_paid_again(sight: Sight) -> None:
    desk = sight.desk
    sight.upstream.replies = [says("A cover."), BUSY]
    store = await desk.world.new_store()
    file = await desk.upload("scan.pdf", SCANS, store, status="uploaded")
    with pytest.raises(UpstreamFailure, match="busy"):
        await run(desk.worker, desk.job(store, file))
    state = await desk.state(file)
    assert (state["status"], state["error_message"]) == (
        "in_progress",
        "seeing did not answer (overloaded); try again.",
    )
    sight.upstream.replies = [says("A list of prices.")]
    assert await run(desk.worker, desk.job(store, file)) == "completed"
    assert [record.completion_tokens for record in sight.records] == [40, 40]
    assert (await desk.state(file))["unread_pages"] == []


async def test_a_provider_that_stays_away_fails_the_file_with_the_reason(sight: Sight) -> None:
    desk = sight.desk
    sight.upstream.replies = [BUSY]
    limits = IngestionLimits(max_attempts=1)
    worker = desk.new_worker(desk.embedder, limits, caption_of=sight.caption_of())
    store = await desk.world.new_store()
    file = await desk.upload("kettle.png", PNG, store, status="uploaded")
    assert await run(worker, desk.job(store, file)) == "failed"
    state = await desk.state(file)
    assert state["error_code"] == "server_error"
    assert "seeing did not answer" in str(state["error_message"])
    assert await sight.captions() == 0


@pytest.mark.parametrize(
    "reply", [REFUSED, says("", finish_reason="content_filter")], ids=["400", "content filter"]
)
async def test_a_page_that_the_model_refuses_stays_unread_and_a_picture_fails(
    sight: Sight, reply: Reply
) -> None:
    desk = sight.desk
    sight.upstream.replies = [reply, says("A list of prices.")]
    store = await desk.world.new_store()
    file = await desk.upload("scan.pdf", SCANS, store, status="uploaded")
    assert await run(desk.worker, desk.job(store, file)) == "completed"
    assert (await desk.state(file))["unread_pages"] == [1]
    sight.upstream.replies = [reply]
    picture = await desk.upload("kettle.png", PNG, store, status="uploaded")
    assert await run(desk.worker, desk.job(store, picture)) == "failed"
    state = await desk.state(picture)
    assert state["error_code"] == "invalid_file"
    assert "The vision model does not read this picture" in str(state["error_message"])


async def test_two_at_once_ask_once(sight: Sight) -> None:
    desk, answered = sight.desk, asyncio.Event()
    reply = says("A red kettle.")
    sight.upstream.replies = [Reply(reply.body, hold=answered)]
    stores = [await desk.world.new_store() for _ in range(2)]
    file = await desk.upload("kettle.png", PNG, *stores, status="uploaded")
    first = asyncio.ensure_future(run(desk.worker, desk.job(stores[0], file)))
    await asyncio.wait_for(sight.upstream.asked.wait(), 30)
    # Only now, so that the row is taken; it comes back by looking, and no second call was sent meanwhile.
    second = asyncio.ensure_future(run(desk.worker, desk.job(stores[1], file)))
    await asyncio.wait([second], timeout=1.2)
    assert not second.done()
    answered.set()
    assert await asyncio.gather(first, second) == ["completed", "completed"]
    assert len(sight.upstream.requests) == 1


async def test_who_died_while_asking_is_waited_for_no_longer_than_the_call_may_take(sight: Sight) -> None:
    desk = sight.desk
    sight.upstream.replies = [says("A red kettle.")]
    store = await desk.world.new_store()
    file = await desk.upload("kettle.png", PNG, store, status="uploaded")
    assert await run(desk.worker, desk.job(store, file)) == "completed"
    # As the row is while somebody asks.
    await desk.world.rows(
        "UPDATE picture_captions SET caption = NULL, asked_by = gen_random_uuid(),"
        " asked_until = now() - interval '1 second' RETURNING 1"
    )
    await desk.world.rows(
        "UPDATE vector_store_files SET status = 'in_progress', content_sha256 = NULL RETURNING 1"
    )
    assert await run(desk.worker, desk.job(store, file)) == "completed"
    assert len(sight.upstream.requests) == 2


async def test_a_tenant_whose_budget_is_used_up_is_told_so_and_nothing_is_asked(sight: Sight) -> None:
    desk = sight.desk
    await desk.world.rows("UPDATE tenants SET budget_per_month_microdollars = 1000000 RETURNING 1")
    await desk.world.rows(
        "INSERT INTO usage_records (tenant_id, request_id, key_id, endpoint, model, provider, prompt_tokens,"
        " cached_tokens, completion_tokens, reasoning_tokens, cost_microdollars, cache_outcome, outcome,"
        " estimated, duration_ms, created_at)"
        " VALUES (%s, 'r', 'k', 'e', 'm', 'p', 1, 0, 1, 0, 1000000, 'off', 'completed', false, 1, now())"
        " RETURNING 1",
        desk.world.tenant_id,
    )
    store = await desk.world.new_store()
    file = await desk.upload("scan.pdf", SCANS, store, status="uploaded")
    with pytest.raises(BudgetError, match="per month for this tenant is used up"):
        await run(desk.worker, desk.job(store, file))
    assert "is used up; it is renewed at" in str((await desk.state(file))["error_message"])
    assert sight.upstream.requests == []
    await desk.world.rows("UPDATE tenants SET budget_per_month_microdollars = 2000000 RETURNING 1")
    sight.upstream.replies = [says("A page.")]
    assert await run(desk.worker, desk.job(store, file)) == "completed"


async def test_a_model_that_cannot_see_is_refused_at_the_start(sight: Sight) -> None:
    with pytest.raises(CatalogError, match="'blind' has no `vision`"):
        vision_route(sight.models, "blind")


async def test_a_page_is_drawn_as_the_model_is_shown_it(sight: Sight) -> None:
    desk = sight.desk
    sight.upstream.replies = [says("EMPTY")]
    store = await desk.world.new_store()
    file = await desk.upload("scan.pdf", SCANS, store, status="uploaded")
    assert await run(desk.worker, desk.job(store, file)) == "completed"
    url = sight.upstream.requests[1]["messages"][0]["content"][1]["image_url"]["url"]
    assert base64.b64decode(url.partition(",")[2]) == page_image(Source(SCANS), 3) + bytes([3])
    # Nothing is to be seen on them: they are read, and empty.
    assert (await desk.state(file))["unread_pages"] == []
    assert len(await desk.world.rows("SELECT 1 FROM chunks")) == 1
