"""What the migrations function reads from the environment."""

from shared.settings import DatabaseSettings


class MigrationsSettings(DatabaseSettings):
    """`owner_secret` names a secret with the URL or login of a role that may create tables and roles.

    `make_login_role`: make the role of `database_secret` too, with the password that is there.
    """

    owner_secret: str
    make_login_role: bool = False
