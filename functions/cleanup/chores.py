"""What is to be done for a tenant, in order."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from cleanup.expiry import (
    delete_abandoned_uploads,
    delete_ended_batches,
    delete_expired_files,
    delete_expired_stores,
)
from cleanup.orphans import delete_orphans
from cleanup.recrawls import start_scheduled
from cleanup.settings import RuleSettings
from cleanup.stuck import notice_uploads, resend_batches, resend_files, resend_pages
from cleanup.unfinished import remove_abandoned, resend_changes, resend_parts
from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.cache.semantic_store import delete_expired
from shared.postgres.database import Database

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
    "scheduled_pages",
    "resent_batches",
    "ended_batches",
    "orphaned_objects",
]


@dataclass(frozen=True, kw_only=True)
class Round:
    """What chores work with in one run."""

    database: Database
    objects: Objects
    ingestion: Queue
    scraping: Queue
    batches: Queue
    rules: RuleSettings
    now: datetime

    def ago(self, seconds: int) -> datetime:
        """So long before the run."""
        return self.now - timedelta(seconds=seconds)

    @property
    def idle(self) -> timedelta:
        """After how long without a sign a job is taken for stuck."""
        return timedelta(seconds=self.rules.stuck_after_seconds)

    @property
    def limit(self) -> int:
        """How many of a kind."""
        return self.rules.cleanup_limit


# Answers how many things were done for a tenant. Bounded by the rules, and safe to run twice at once.
Chore = Callable[[Round, str], Awaitable[int]]

# Uploads that did come are noticed before the others are given up.
CHORES: Mapping[Kind, Chore] = {
    "noticed_uploads": lambda r, tenant: notice_uploads(
        r.database, r.objects, r.ingestion, tenant, before=r.now - r.idle, limit=r.limit
    ),
    "abandoned_uploads": lambda r, tenant: delete_abandoned_uploads(
        r.database, r.objects, tenant, before=r.ago(r.rules.upload_after_seconds), limit=r.limit
    ),
    "expired_files": lambda r, tenant: delete_expired_files(
        r.database, r.objects, tenant, now=r.now, limit=r.limit
    ),
    "expired_stores": lambda r, tenant: delete_expired_stores(r.database, tenant, now=r.now, limit=r.limit),
    "expired_answers": lambda r, tenant: delete_expired(
        r.database, tenant, now=r.now, limit=r.rules.expired_answers_limit
    ),
    "resent_files": lambda r, tenant: resend_files(
        r.database, r.ingestion, tenant, idle=r.idle, limit=r.limit
    ),
    "resent_parts": lambda r, tenant: resend_parts(
        r.database, r.ingestion, tenant, idle=r.idle, limit=r.limit
    ),
    "resent_model_changes": lambda r, tenant: resend_changes(
        r.database, r.ingestion, tenant, idle=r.idle, limit=r.limit
    ),
    "abandoned_versions": lambda r, tenant: remove_abandoned(r.database, tenant, limit=r.limit),
    "resent_pages": lambda r, tenant: resend_pages(
        r.database, r.scraping, tenant, idle=r.idle, limit=r.limit
    ),
    "scheduled_pages": lambda r, tenant: start_scheduled(
        r.database, r.scraping, tenant, now=r.now, limit=r.limit
    ),
    "resent_batches": lambda r, tenant: resend_batches(
        r.database, r.batches, tenant, now=r.now, idle=r.idle, limit=r.limit
    ),
    "ended_batches": lambda r, tenant: delete_ended_batches(
        r.database, tenant, before=r.ago(r.rules.batch_kept_seconds), limit=r.limit
    ),
    "orphaned_objects": lambda r, tenant: delete_orphans(
        r.database,
        r.objects,
        tenant,
        before=r.ago(r.rules.orphan_after_seconds),
        limit=r.rules.orphan_scan_limit,
    ),
}
