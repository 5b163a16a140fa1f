"""Plays Lambda for the scraping function, over sites on the loopback."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.aws.clients import call, client
from shared.files.models import StoredFile
from shared.files.records import get_file
from shared.postgres.database import Database
from shared.postgres.pages import PageRequest
from shared.web.messages import FetchPage
from shared.web.scrape_models import NewScrape, Scrape, ScrapePage
from shared.web.scrapes import create_scrape, first_messages, get_scrape, list_pages
from tests.loading import Context

EVENT = json.loads((Path(__file__).parents[2] / "events" / "sqs-scraping.json").read_text())

Handle = Callable[[dict[str, Any], object], dict[str, Any]]


class Crawler:
    """Plays Lambda: takes messages from the queue, hands them to the handler, deletes what they did."""

    def __init__(self, handle: Handle, database: Database, tenant_id: str, queue_url: str) -> None:
        self.handle = handle
        self.database = database
        self.tenant_id = tenant_id
        self.queue_url = queue_url

    async def start(self, url: str, *, depth_limit: int = 2, page_limit: int = 20, **options: Any) -> Scrape:
        """Make a scrape and send its first messages."""
        new = NewScrape(
            tenant_id=self.tenant_id,
            start_urls=options.pop("start_urls", (url,)),
            depth_limit=depth_limit,
            page_limit=page_limit,
            **options,
        )
        async with self.database.tenant(self.tenant_id) as connection:
            scrape = await create_scrape(connection, new, datetime.now(UTC))
            messages = await first_messages(connection, self.tenant_id, scrape.scrape_id)
        for message in messages:
            body = message.model_dump_json()
            await call(client("sqs").send_message, QueueUrl=self.queue_url, MessageBody=body)
        return scrape

    def message(self, scrape: Scrape, url: str) -> FetchPage:
        return FetchPage(tenant_id=self.tenant_id, scrape_id=scrape.scrape_id, url=url, depth=0)

    async def deliver(self, *bodies: str, twice: bool = False) -> set[int]:
        """One event with these bodies, each once or twice; the places of those that failed."""
        record = EVENT["Records"][0]
        records = [record | {"messageId": f"{place}", "body": body} for place, body in enumerate(bodies)]
        if twice:
            records = [copy for record in records for copy in (record, record)]
        answer = await asyncio.to_thread(self.handle, {"Records": records}, Context())
        return {int(item["itemIdentifier"]) for item in answer["batchItemFailures"]}

    async def step(self, *, twice: bool = False) -> None:
        """Take what is in the queue, waiting a second for it, and work on it."""
        answer = await call(
            client("sqs").receive_message,
            QueueUrl=self.queue_url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=1,
        )
        messages = answer.get("Messages", [])
        if not messages:
            return
        failed = await self.deliver(*(message["Body"] for message in messages), twice=twice)
        assert not failed
        for message in messages:
            await call(
                client("sqs").delete_message,
                QueueUrl=self.queue_url,
                ReceiptHandle=message["ReceiptHandle"],
            )

    async def run(self, scrape: Scrape, *, twice: bool = False) -> Scrape:
        """Work until the scrape has ended."""
        while (now := await self.state(scrape)).status in ("queued", "running"):
            await self.step(twice=twice)
        return now

    async def crawl(self, url: str, **options: Any) -> Scrape:
        """Start a scrape, and work until it has ended."""
        return await self.run(await self.start(url, **options))

    async def state(self, scrape: Scrape) -> Scrape:
        async with self.database.tenant(self.tenant_id) as connection:
            return await get_scrape(connection, scrape.scrape_id)

    async def pages(self, scrape: Scrape) -> dict[str, ScrapePage]:
        """By path."""
        async with self.database.tenant(self.tenant_id) as connection:
            page = await list_pages(connection, scrape.scrape_id, PageRequest(limit=1000))
        origin = "/".join(scrape.start_url.split("/")[:3])
        return {item.url.removeprefix(origin): item for item in page.items}

    async def file(self, url: str) -> StoredFile:
        async with self.database.tenant(self.tenant_id) as connection:
            cursor = await connection.execute("SELECT file_id FROM files WHERE source_url = %s", (url,))
            row = await cursor.fetchone()
            assert row is not None
            return await get_file(connection, row["file_id"])

    async def delayed(self) -> int:
        """Messages in the queue that are not to be had yet."""
        answer = await call(
            client("sqs").get_queue_attributes, QueueUrl=self.queue_url, AttributeNames=["All"]
        )
        return int(answer["Attributes"]["ApproximateNumberOfMessagesDelayed"])
