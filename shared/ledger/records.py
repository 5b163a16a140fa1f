"""Writing to the ledger, and reading one request out of it."""

from operator import attrgetter

from psycopg import sql
from psycopg.types.json import Jsonb

from shared.errors import NotFoundError
from shared.ledger.usage import UsageRecord
from shared.postgres.database import Connection

_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, UsageRecord.model_fields))

# One statement for any number of records. PostgreSQL casts each value to the type of its column.
_INSERT = sql.SQL(
    "INSERT INTO usage_records ({columns})"
    " SELECT {columns} FROM jsonb_populate_recordset(NULL::usage_records, %s)"
    " ON CONFLICT (tenant_id, request_id) DO NOTHING"
    " RETURNING request_id"
).format(columns=_COLUMNS)

_SELECT = sql.SQL(
    "SELECT {columns} FROM usage_records"
    " WHERE request_id = %(request_id)s AND (%(only_key)s::text IS NULL OR key_id = %(only_key)s)"
).format(columns=_COLUMNS)


async def record_usage(connection: Connection, *records: UsageRecord) -> tuple[UsageRecord, ...]:
    """Insert each record once, and return those that are new. A request in the ledger stays as it is.

    Args:
        connection: A transaction of the tenant that all records belong to; row-level security refuses others.
    """
    # In one order, so that two transactions with the same requests wait for each other and do not lock up.
    in_order = sorted(records, key=attrgetter("request_id"))
    cursor = await connection.execute(
        _INSERT, (Jsonb([record.model_dump(mode="json") for record in in_order]),)
    )
    # Of records of one request the first is the one that went in.
    first = {record.request_id: record for record in reversed(in_order)}
    return tuple([first[row["request_id"]] async for row in cursor])


async def find_usage(connection: Connection, request_id: str, *, only_key: str | None = None) -> UsageRecord:
    """One request of the tenant, with its legs.

    Args:
        connection: A transaction of the tenant.
        only_key: Look among this key's requests alone.

    Raises:
        NotFoundError: No such request is in the ledger; a new one gets there within seconds.
    """
    cursor = await connection.execute(_SELECT, {"request_id": request_id, "only_key": only_key})
    row = await cursor.fetchone()
    if row is None:
        raise NotFoundError(
            f"No usage is booked for request {request_id!r}; a request is booked seconds after its end."
        )
    return UsageRecord.model_validate(row)
