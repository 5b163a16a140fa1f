"""What tests of the API work with; the fixtures are in `api_fixtures`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import openai

from api.services import Services
from local.components.storage import QueueUrls
from shared.aws.clients import call, client
from shared.postgres.database import Database


@dataclass(frozen=True)
class Member:
    """A tenant's key, and the SDK that uses it."""

    tenant_id: str
    key_id: str
    api_key: str
    sdk: openai.AsyncOpenAI


@dataclass(frozen=True)
class Api:
    """A running API."""

    url: str
    services: Services
    queues: QueueUrls


NewMember = Callable[..., Awaitable[Member]]


async def bodies(queue_url: str) -> list[str]:
    """Every message that waits in a queue, taken out of it."""
    found: list[str] = []
    while True:
        answer = await call(client("sqs").receive_message, QueueUrl=queue_url, MaxNumberOfMessages=10)
        messages = answer.get("Messages", [])
        if not messages:
            return found
        found += [message["Body"] for message in messages]
        entries = [
            {"Id": str(i), "ReceiptHandle": message["ReceiptHandle"]} for i, message in enumerate(messages)
        ]
        await call(client("sqs").delete_message_batch, QueueUrl=queue_url, Entries=entries)


async def count_rows(database: Database, tenant_id: str) -> dict[str, int]:
    """Rows that a tenant has, by table, where there are any; the tenant itself and its keys apart."""
    async with database.tenant(tenant_id) as connection:
        cursor = await connection.execute(
            """
            SELECT c.relname AS name FROM pg_class c
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
            WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
              AND c.relname NOT IN ('tenants', 'api_keys')
            """
        )
        counts: dict[str, int] = {}
        for table in await cursor.fetchall():
            row = await (await connection.execute(f'SELECT count(*) AS n FROM "{table["name"]}"')).fetchone()
            if row is not None and row["n"]:
                counts[table["name"]] = row["n"]
        return counts
