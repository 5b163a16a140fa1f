"""What accounting reads from the environment."""

from shared.settings import DatabaseSettings


class AccountingSettings(DatabaseSettings):
    """Settings of the accounting function."""
