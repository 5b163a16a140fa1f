"""Makes the role that functions log in as, where the deployment makes the database too."""

from psycopg import AsyncConnection, OperationalError, sql
from psycopg.conninfo import conninfo_to_dict

_EXISTS = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s)"
_CREATE = "CREATE ROLE {} LOGIN PASSWORD {} IN ROLE weir_app"
_ALTER = "ALTER ROLE {} LOGIN PASSWORD {}"

# A function that sleeps between two calls keeps its connections, and each would keep the database from
# pausing. When it wakes, it finds them closed and makes others.
_LET_GO = "ALTER ROLE {} SET idle_session_timeout = '60s'"


async def ensure_login_role(owner_url: str, login_url: str) -> None:
    """Make the role of `login_url`, a member of `weir_app`, or give it the password there.

    A role that can log in stays as it is: its password may be rotating. One that cannot is new, or comes
    from a snapshot that is older than the secret.

    Raises:
        psycopg.Error: PostgreSQL cannot be reached as the owner, or refuses.
    """
    if await _can_log_in(login_url):
        return
    login = conninfo_to_dict(login_url)
    name, password = str(login["user"]), str(login["password"])
    async with await AsyncConnection.connect(owner_url) as connection:
        # PostgreSQL logs statements that fail: what it is sent is no password.
        verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
        row = await (await connection.execute(_EXISTS, (name,))).fetchone()
        statement = sql.SQL(_ALTER if row is not None and row[0] else _CREATE)
        await connection.execute(statement.format(sql.Identifier(name), sql.Literal(verifier.decode())))
        await connection.execute(sql.SQL(_LET_GO).format(sql.Identifier(name)))


async def _can_log_in(url: str) -> bool:
    try:
        async with await AsyncConnection.connect(url):
            return True
    except OperationalError:
        return False
