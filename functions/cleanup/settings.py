"""What cleanup reads from the environment."""

from pydantic import PositiveInt

from shared.settings import (
    BatchQueueSettings,
    DatabaseSettings,
    IngestionQueueSettings,
    ScrapingQueueSettings,
    Settings,
    StorageSettings,
)

_HOUR = 3600


class RuleSettings(Settings):
    """When something is to be cleaned up, and how much of it in one run.

    `cleanup_limit` is for each kind of thing and each tenant; `orphan_scan_limit` is how many stored objects
    of a tenant are looked at, and `expired_answers_limit` how many cached answers go. `stuck_after_seconds`
    should be longer than the queues hide a message (30 minutes), else jobs that only wait are sent again.
    Of vectors the index is built anew, where that has become worth while, up to `rebuilt_rows` of them.
    """

    cleanup_limit: PositiveInt = 200
    orphan_scan_limit: PositiveInt = 10_000
    expired_answers_limit: PositiveInt = 10_000
    rebuilt_rows: PositiveInt = 100_000
    orphan_after_seconds: PositiveInt = 24 * _HOUR
    upload_after_seconds: PositiveInt = 24 * _HOUR
    stuck_after_seconds: PositiveInt = _HOUR
    batch_kept_seconds: PositiveInt = 30 * 24 * _HOUR


class CleanupSettings(
    DatabaseSettings,
    StorageSettings,
    IngestionQueueSettings,
    ScrapingQueueSettings,
    BatchQueueSettings,
    RuleSettings,
):
    """Settings of the cleanup function."""
