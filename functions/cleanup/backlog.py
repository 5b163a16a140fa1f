"""How much ingestion has before it, as the jobs themselves tell: a queue also counts what comes twice."""

from dataclasses import dataclass

from shared.postgres.database import Database


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """Files and parts that are not done, how long the oldest of them has waited, and files that failed."""

    waiting_files: int = 0
    waiting_parts: int = 0
    oldest_seconds: int = 0
    failed_files: int = 0

    def joined(self, other: "Backlog") -> "Backlog":
        """Both together."""
        return Backlog(
            waiting_files=self.waiting_files + other.waiting_files,
            waiting_parts=self.waiting_parts + other.waiting_parts,
            oldest_seconds=max(self.oldest_seconds, other.oldest_seconds),
            failed_files=self.failed_files + other.failed_files,
        )


async def read_backlog(database: Database, tenant_id: str) -> Backlog:
    """What a tenant has before it; of files, those whose bytes are there."""
    async with database.tenant(tenant_id) as connection:
        cursor = await connection.execute(
            """
            SELECT count(*) FILTER (WHERE f.status = 'in_progress') AS waiting_files,
                   count(*) FILTER (WHERE f.status = 'failed') AS failed_files,
                   coalesce(extract(epoch FROM now() - min(greatest(f.created_at, f.updated_at))
                       FILTER (WHERE f.status = 'in_progress')), 0)::integer AS oldest_seconds,
                   (SELECT count(*) FROM ingestion_parts p WHERE p.status = 'queued') AS waiting_parts
            FROM vector_store_files f
            JOIN files ON files.tenant_id = f.tenant_id AND files.file_id = f.file_id
            WHERE f.status IN ('in_progress', 'failed') AND files.status = 'uploaded'
            """
        )
        row = await cursor.fetchone()
    return Backlog() if row is None else Backlog(**row)
