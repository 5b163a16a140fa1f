"""Writing to the ledger."""

from psycopg import sql
from psycopg.types.json import Jsonb

from shared.ledger.usage import UsageRecord
from shared.postgres.database import Connection

_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, UsageRecord.model_fields))

# One statement for any number of records. PostgreSQL casts each value to the type of its column.
_INSERT = sql.SQL(
    "INSERT INTO usage_records ({columns})"
    " SELECT {columns} FROM jsonb_populate_recordset(NULL::usage_records, %s)"
    " ON CONFLICT (tenant_id, request_id) DO NOTHING"
).format(columns=_COLUMNS)


async def record_usage(connection: Connection, *records: UsageRecord) -> int:
    """Insert each record once, and return how many are new. A request that is in the ledger stays as it is.

    Args:
        connection: A transaction of the tenant that all records belong to; row-level security refuses others.
    """
    cursor = await connection.execute(
        _INSERT, (Jsonb([record.model_dump(mode="json") for record in records]),)
    )
    return cursor.rowcount
