"""What the migrations function reads from the environment."""

from shared.settings import DatabaseSettings


class MigrationsSettings(DatabaseSettings):
    """`owner_secret` names a secret whose value is the URL of a role that may create tables and roles."""

    owner_secret: str
