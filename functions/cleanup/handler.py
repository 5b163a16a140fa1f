"""EventBridge Scheduler: expired, abandoned, orphaned and stuck things, tenant by tenant.

Event: the scheduler's own, `{"source": "aws.scheduler", "time", ...}`, of which nothing is needed. Answers
the counts of `Sweep`, which are metrics too.
"""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from cleanup.settings import CleanupSettings
from cleanup.sweep import Cleaner, Sweep
from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.connections import open_database
from shared.postgres.database import Database
from shared.telemetry import MetricUnit, logger, metrics

# What the last chore begun may still take.
_RESERVE_MS = 60_000

_settings = CleanupSettings()
_log = logger("cleanup", _settings.log_level)
_metrics = metrics("cleanup")
_loop = asyncio.new_event_loop()
_resources = AsyncExitStack()


@_metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Clean up once."""

    def has_time() -> bool:
        return context.get_remaining_time_in_millis() > _RESERVE_MS

    cleaner = _cleaner(_database())
    sweep = _loop.run_until_complete(cleaner.run(datetime.now(UTC), context.aws_request_id, has_time))
    _tell(sweep)
    return sweep.counts()


@cache
def _database() -> Database:
    return _loop.run_until_complete(_resources.enter_async_context(open_database(_settings)))


def _cleaner(database: Database) -> Cleaner:
    return Cleaner(
        database=database,
        objects=Objects(_settings.bucket),
        ingestion=Queue(_settings.ingestion_queue_url),
        scraping=Queue(_settings.scraping_queue_url),
        batches=Queue(_settings.batch_queue_url),
        rules=_settings,
        log=_log,
    )


def _tell(sweep: Sweep) -> None:
    _log.info("cleaned up", extra=sweep.counts())
    for name, count in sweep.counts().items():
        _metrics.add_metric(f"Cleanup{name.title().replace('_', '')}", MetricUnit.Count, count)
