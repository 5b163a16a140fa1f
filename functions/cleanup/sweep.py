"""One run of cleanup: every kind of leftover, tenant by tenant, until time is short."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from cleanup.backlog import Backlog, read_backlog
from cleanup.chores import CHORES, Chore, Kind, Round
from cleanup.indexes import rebuild_indexes
from cleanup.maintenance import vacuum
from cleanup.settings import RuleSettings
from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.errors import UnavailableError
from shared.postgres.database import Database
from shared.telemetry import Logger


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
    rebuilt_indexes: int = 0
    vacuumed_tables: int = 0
    backlog: Backlog = field(default_factory=Backlog)

    def counts(self) -> dict[str, int]:
        """Every count by its name, those of the backlog as `backlog_...`."""
        counts = asdict(self)
        backlog = counts.pop("backlog")
        return counts | {f"backlog_{name}": value for name, value in backlog.items()}


@dataclass(frozen=True, kw_only=True)
class Cleaner:
    """Does the chores of all tenants, and keeps what search reads in order."""

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
        this = self._round(now)
        waiting = in_turn(await self._tenants(), run_id)
        done: Counter[str] = Counter()
        backlog = Backlog()
        while waiting and has_time():
            tenant_id = waiting.pop()
            for kind, chore in CHORES.items():
                done.update(await self._do(kind, chore, this, tenant_id))
            backlog = backlog.joined(await read_backlog(self.database, tenant_id))
            done["tenants"] += 1
        if has_time():
            # First: an index without dead rows is vacuumed in no time.
            done["rebuilt_indexes"] = await rebuild_indexes(self.database, most_rows=self.rules.rebuilt_rows)
        done["vacuumed_tables"] = await vacuum(self.database, has_time) if has_time() else 0
        return Sweep(**done, tenants_left=len(waiting), backlog=backlog)

    async def _tenants(self) -> list[str]:
        async with self.database.anonymous() as connection:
            cursor = await connection.execute("SELECT list_tenants() AS tenant_id")
            return [row["tenant_id"] for row in await cursor.fetchall()]

    async def _do(self, kind: Kind, chore: Chore, this: Round, tenant_id: str) -> dict[str, int]:
        try:
            return {kind: await chore(this, tenant_id)}
        except UnavailableError:
            raise
        except Exception:
            # One tenant's trouble is not the others'; the next run tries again.
            self.log.exception("chore broke off", extra={"chore": kind, "tenant_id": tenant_id})
            return {"failures": 1}

    def _round(self, now: datetime) -> Round:
        return Round(
            database=self.database,
            objects=self.objects,
            ingestion=self.ingestion,
            scraping=self.scraping,
            batches=self.batches,
            rules=self.rules,
            now=now,
        )


def in_turn(tenants: Sequence[str], run_id: str) -> list[str]:
    """The tenants in an order of this run's own."""
    return sorted(tenants, key=lambda tenant_id: hashlib.sha256(f"{run_id}:{tenant_id}".encode()).digest())
