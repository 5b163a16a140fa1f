"""One batch of usage messages into the ledger, one transaction per tenant."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from shared.errors import UnavailableError
from shared.ledger.records import record_usage
from shared.ledger.usage import UsageBatch, UsageRecord
from shared.postgres.database import Database


@dataclass(frozen=True, kw_only=True)
class Booking:
    """What became of a batch.

    `new` are the records that were not in the ledger, `repeated` counts those that were. `malformed` holds
    the reason of each message that can never be booked, `postponed` the ids of those that found no database;
    both go back to the queue.
    """

    new: tuple[UsageRecord, ...]
    repeated: int
    malformed: Mapping[str, str]
    postponed: frozenset[str]

    @property
    def failed(self) -> list[str]:
        """Ids of the messages that go back to the queue."""
        return [*self.malformed, *self.postponed]


async def book(database: Database, bodies: Mapping[str, str]) -> Booking:
    """Book every message, by its id. A request goes into the ledger once, however often it is delivered."""
    messages, malformed = _parsed(bodies)
    waiting = _by_tenant(messages)
    new: list[UsageRecord] = []
    booked = 0
    while waiting:
        tenant_id, records = next(iter(waiting.items()))
        try:
            async with database.tenant(tenant_id) as connection:
                inserted = await record_usage(connection, *records)
        except UnavailableError:
            # The next tenant would only wait for the same database.
            break
        new += inserted
        booked += len(records)
        del waiting[tenant_id]
    return Booking(
        new=tuple(new),
        repeated=booked - len(new),
        malformed=malformed,
        postponed=frozenset(
            message_id
            for message_id, message in messages.items()
            if any(record.tenant_id in waiting for record in message.records)
        ),
    )


def _parsed(bodies: Mapping[str, str]) -> tuple[dict[str, UsageBatch], dict[str, str]]:
    messages: dict[str, UsageBatch] = {}
    malformed: dict[str, str] = {}
    for message_id, body in bodies.items():
        try:
            messages[message_id] = UsageBatch.model_validate_json(body)
        except ValidationError as error:
            malformed[message_id] = _reason(error)
    return messages, malformed


def _reason(error: ValidationError) -> str:
    """Which field is wrong and why, without what was in it."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}"


def _by_tenant(messages: Mapping[str, UsageBatch]) -> dict[str, list[UsageRecord]]:
    groups: defaultdict[str, list[UsageRecord]] = defaultdict(list)
    for message in messages.values():
        for record in message.records:
            groups[record.tenant_id].append(record)
    return groups
