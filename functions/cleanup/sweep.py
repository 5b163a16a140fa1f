"""One run of cleanup: every kind of leftover, tenant by tenant, until time is short."""

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from cleanup.backlog import Backlog, read_backlog
from cleanup.expiry import (
    delete_abandoned_uploads,
    delete_ended_batches,
    delete_expired_files,
    delete_expired_stores,
)
from cleanup.maintenance import vacuum
from cleanup.orphans import delete_orphans
from cleanup.recrawls import start_scheduled
from cleanup.settings import RuleSettings
from cleanup.stuck import notice_uploads, resend_batches, resend_files, resend_pages
from cleanup.unfinished import remove_abandoned, resend_changes, resend_parts
from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.cache.semantic_store import delete_expired
from shared.errors import UnavailableError
from shared.postgres.database import Database
from shared.telemetry import Logger

Kind = Literal[
    "noticed_uploads",
    "abandoned_uploads",
    "expired_files",
    "expired_stores",
    "expired_answers",
    "resent_files",
    "resent_parts",
    "resent_model_changes",
    "abandoned_versions",
    "resent_pages",
    "resent_batches",
    "ended_batches",
    "scheduled_pages",
    "orphaned_objects",
]
Chore = Callable[[str], Awaitable[int]]


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What one run did. `failures` counts chores that broke off; `tenants_left` were not reached."""

    noticed_uploads: int = 0
    abandoned_uploads: int = 0
    expired_files: int = 0
    expired_stores: int = 0
    expired_answers: int = 0
    resent_files: int = 0
    resent_parts: int = 0
    resent_model_changes: int = 0
    abandoned_versions: int = 0
    resent_pages: int = 0
    resent_batches: int = 0
    ended_batches: int = 0
    scheduled_pages: int = 0
    orphaned_objects: int = 0
    failures: int = 0
    tenants: int = 0
    tenants_left: int = 0
    vacuumed_tables: int = 0
    backlog: Backlog = field(default_factory=Backlog)

    def counts(self) -> dict[str, int]:
        """Every count by its name, those of the backlog as `backlog_...`."""
        counts = asdict(self)
        backlog = counts.pop("backlog")
        return counts | {f"backlog_{name}": value for name, value in backlog.items()}


@dataclass(frozen=True, kw_only=True)
class Cleaner:
    """Knows the chores. Every one is bounded by the rules, and safe to run twice at once."""

    database: Database
    objects: Objects
    ingestion: Queue
    scraping: Queue
    batches: Queue
    rules: RuleSettings
    log: Logger

    async def run(self, now: datetime, run_id: str, has_time: Callable[[], bool]) -> Sweep:
        """Do every chore for every tenant, as long as `has_time()`.

        The order of tenants differs from run to run, so that a short run does not always leave the same ones.

        Raises:
            UnavailableError: The database cannot be reached.
        """
        chores = self._chores(now)
        waiting = in_turn(await self._tenants(), run_id)
        done: Counter[str] = Counter()
        backlog = Backlog()
        while waiting and has_time():
            tenant_id = waiting.pop()
            for kind, chore in chores.items():
                done.update(await self._do(kind, chore, tenant_id))
            backlog = backlog.joined(await read_backlog(self.database, tenant_id))
            done["tenants"] += 1
        done["vacuumed_tables"] = await vacuum(self.database, has_time) if has_time() else 0
        return Sweep(**done, tenants_left=len(waiting), backlog=backlog)

    async def _tenants(self) -> list[str]:
        async with self.database.anonymous() as connection:
            cursor = await connection.execute("SELECT list_tenants() AS tenant_id")
            return [row["tenant_id"] for row in await cursor.fetchall()]

    async def _do(self, kind: Kind, chore: Chore, tenant_id: str) -> dict[str, int]:
        try:
            return {kind: await chore(tenant_id)}
        except UnavailableError:
            raise
        except Exception:
            # One tenant's trouble is not the others'; the next run tries again.
            self.log.exception("chore broke off", extra={"chore": kind, "tenant_id": tenant_id})
            return {"failures": 1}

    def _chores(self, now: datetime) -> Mapping[Kind, Chore]:
        """What is to be done, in order: uploads that did come are noticed before the others are given up."""
        rules, database, objects = self.rules, self.database, self.objects
        limit, idle = rules.cleanup_limit, timedelta(seconds=rules.stuck_after_seconds)
        given_up = now - timedelta(seconds=rules.upload_after_seconds)
        forgotten = now - timedelta(seconds=rules.batch_kept_seconds)
        orphaned = now - timedelta(seconds=rules.orphan_after_seconds)
        return {
            "noticed_uploads": lambda tenant_id: notice_uploads(
                database, objects, self.ingestion, tenant_id, before=now - idle, limit=limit
            ),
            "abandoned_uploads": lambda tenant_id: delete_abandoned_uploads(
                database, objects, tenant_id, before=given_up, limit=limit
            ),
            "expired_files": lambda tenant_id: delete_expired_files(
                database, objects, tenant_id, now=now, limit=limit
            ),
            "expired_stores": lambda tenant_id: delete_expired_stores(
                database, tenant_id, now=now, limit=limit
            ),
            "expired_answers": lambda tenant_id: delete_expired(
                database, tenant_id, now=now, limit=rules.expired_answers_limit
            ),
            "resent_files": lambda tenant_id: resend_files(
                database, self.ingestion, tenant_id, idle=idle, limit=limit
            ),
            "resent_parts": lambda tenant_id: resend_parts(
                database, self.ingestion, tenant_id, idle=idle, limit=limit
            ),
            "resent_model_changes": lambda tenant_id: resend_changes(
                database, self.ingestion, tenant_id, idle=idle, limit=limit
            ),
            "abandoned_versions": lambda tenant_id: remove_abandoned(database, tenant_id, limit=limit),
            "resent_pages": lambda tenant_id: resend_pages(
                database, self.scraping, tenant_id, idle=idle, limit=limit
            ),
            "scheduled_pages": lambda tenant_id: start_scheduled(
                database, self.scraping, tenant_id, now=now, limit=limit
            ),
            "resent_batches": lambda tenant_id: resend_batches(
                database, self.batches, tenant_id, now=now, idle=idle, limit=limit
            ),
            "ended_batches": lambda tenant_id: delete_ended_batches(
                database, tenant_id, before=forgotten, limit=limit
            ),
            "orphaned_objects": lambda tenant_id: delete_orphans(
                database, objects, tenant_id, before=orphaned, limit=rules.orphan_scan_limit
            ),
        }


def in_turn(tenants: Sequence[str], run_id: str) -> list[str]:
    """The tenants in an order of this run's own."""
    return sorted(tenants, key=lambda tenant_id: hashlib.sha256(f"{run_id}:{tenant_id}".encode()).digest())
