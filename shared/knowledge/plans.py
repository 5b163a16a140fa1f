"""The plan of a file that is ingested in parts: how it is cut, and which of the parts wait for whom.

All parts are of a staged version, which nobody finds; the transaction that writes the last of them makes it
the live one. Every function runs in a transaction of the tenant.
"""

from datetime import datetime, timedelta
from typing import Final

from pydantic import TypeAdapter

from shared.documents.parts import Plan
from shared.knowledge.index import stage_version
from shared.knowledge.job_lease import release
from shared.knowledge.jobs import Claim
from shared.knowledge.messages import IngestFile, IngestPart
from shared.postgres.database import Connection

PLAN: Final = TypeAdapter(Plan)


async def begin(
    connection: Connection,
    held: Claim,
    *,
    plan: Plan,
    object_etag: str,
    content_sha256: str,
) -> int:
    """Stage a version of the job's file in the parts of the plan, and end the worker's lease; its number.

    Raises:
        LeaseLostError: The job is not the worker's any more.
    """
    version = await stage_version(connection, **held.job.model_dump())
    await release(connection, held)
    await connection.execute(
        """
        INSERT INTO ingestion_plans (tenant_id, vector_store_id, file_id, version, plan, object_etag,
                                     content_sha256)
        VALUES (%(tenant_id)s, %(vector_store_id)s, %(file_id)s, %(version)s, %(plan)s, %(etag)s, %(sha256)s)
        """,
        {
            **held.job.model_dump(),
            "version": version,
            "plan": PLAN.dump_json(plan).decode(),
            "etag": object_etag,
            "sha256": content_sha256,
        },
    )
    await connection.execute(
        """
        INSERT INTO ingestion_parts (tenant_id, vector_store_id, file_id, version, part, status)
        SELECT %(tenant_id)s, %(vector_store_id)s, %(file_id)s, %(version)s, part, 'queued'
        FROM generate_series(0, %(count)s - 1) AS part
        """,
        {**held.job.model_dump(), "version": version, "count": len(plan.parts)},
    )
    return version


async def unsent(connection: Connection, job: IngestFile, version: int) -> list[IngestPart]:
    """The messages of a version's parts, if they were not all sent."""
    cursor = await connection.execute(
        """
        SELECT p.tenant_id, p.vector_store_id, p.file_id, p.version, p.part
        FROM ingestion_parts p JOIN ingestion_plans USING (tenant_id, vector_store_id, file_id, version)
        WHERE p.tenant_id = %(tenant_id)s AND p.vector_store_id = %(vector_store_id)s
          AND p.file_id = %(file_id)s AND p.version = %(version)s AND sent_at IS NULL ORDER BY p.part
        """,
        {**job.model_dump(), "version": version},
    )
    return [IngestPart(**row) for row in await cursor.fetchall()]


async def note_sent(connection: Connection, job: IngestFile, version: int, now: datetime) -> None:
    """Every part's message is in the queue."""
    await connection.execute(
        """
        UPDATE ingestion_plans SET sent_at = %(now)s
        WHERE tenant_id = %(tenant_id)s AND vector_store_id = %(vector_store_id)s
          AND file_id = %(file_id)s AND version = %(version)s
        """,
        {**job.model_dump(), "version": version, "now": now},
    )


async def stalled_parts(connection: Connection, idle: timedelta, limit: int) -> list[IngestPart]:
    """Parts that nobody works on and nothing was heard of for `idle`, to be sent again; touched, so that a
    second look does not find them.
    """
    cursor = await connection.execute(
        """
        WITH stalled AS MATERIALIZED (
            SELECT p.tenant_id, p.vector_store_id, p.file_id, p.version, p.part
            FROM ingestion_parts p
            JOIN vector_store_files f USING (tenant_id, vector_store_id, file_id)
            WHERE p.status = 'queued' AND f.status = 'in_progress' AND f.staged_version = p.version
              AND p.updated_at < now() - %s::interval AND (p.lease_until IS NULL OR p.lease_until < now())
            ORDER BY p.updated_at
            LIMIT %s
            FOR UPDATE OF p SKIP LOCKED
        )
        UPDATE ingestion_parts p SET updated_at = now()
        FROM stalled s
        WHERE (p.tenant_id, p.vector_store_id, p.file_id, p.version, p.part)
            = (s.tenant_id, s.vector_store_id, s.file_id, s.version, s.part)
        RETURNING p.tenant_id, p.vector_store_id, p.file_id, p.version, p.part
        """,
        (idle, limit),
    )
    return [IngestPart(**row) for row in await cursor.fetchall()]


async def abandoned_versions(connection: Connection, limit: int) -> list[IngestFile]:
    """Files with a staged version that nobody will complete, because their job ended otherwise."""
    cursor = await connection.execute(
        """
        SELECT tenant_id, vector_store_id, file_id FROM vector_store_files
        WHERE staged_version IS NOT NULL AND status <> 'in_progress'
        ORDER BY vector_store_id, file_id LIMIT %s
        """,
        (limit,),
    )
    return [IngestFile(**row) for row in await cursor.fetchall()]
