"""The URL of a store from its secret, which holds either the URL itself or only what is secret in it."""

import json
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ValidationError

_POSTGRES_PORT = 5432


class UnusableSecretError(Exception):
    """A store's secret has not the form that it must have; the message holds none of its values."""


class _Login(BaseModel):
    """The fields of Secrets Manager for a database:
    https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
    """

    username: str
    password: str
    host: str | None = None
    port: int | None = None
    dbname: str | None = None


def is_login(secret: str) -> bool:
    """Whether a database's secret is JSON with a login, as those are that rotate, and no URL."""
    return secret.lstrip().startswith("{")


def database_url(secret: str, *, like: str = "") -> str:
    """The `postgresql://` URL of a database's secret; a URL stays what it is.

    Args:
        secret: A URL, or JSON `{"username", "password", "host", "port", "dbname"}`.
        like: The URL of the same database, for host, port and name where the JSON has none: a secret that
            RDS manages is a user name and a password.

    Raises:
        UnusableSecretError: JSON without a user name, a password, a host or the database's name.
    """
    if not is_login(secret):
        return secret
    login, same = _login(secret), urlsplit(like)
    host, name = login.host or same.hostname, login.dbname or same.path.lstrip("/")
    if not host or not name:
        raise UnusableSecretError("The database's secret names no host or no dbname.")
    port = login.port or same.port or _POSTGRES_PORT
    user, password = quote(login.username, safe=""), quote(login.password, safe="")
    return f"postgresql://{user}:{password}@{host}:{port}/{quote(name, safe='')}?sslmode=require"


def valkey_url(url: str, secret: str) -> str:
    """The URL of a Valkey with its password.

    Args:
        url: `redis://` or `rediss://` without a password.
        secret: The password of the user `default`, or a whole URL, which counts instead of `url`.
    """
    if secret.startswith(("redis://", "rediss://")):
        return secret
    scheme, _, place = url.partition("://")
    return f"{scheme}://:{quote(secret, safe='')}@{place}"


def _login(secret: str) -> _Login:
    # No cause is kept: both errors quote what they have read.
    try:
        return _Login.model_validate(json.loads(secret))
    except ValidationError as error:
        fields = ", ".join(str(one["loc"][0]) if one["loc"] else "all" for one in error.errors())
        raise UnusableSecretError(f"The database's secret lacks or misspells: {fields}.") from None
    except json.JSONDecodeError:
        raise UnusableSecretError("The database's secret is neither a URL nor JSON.") from None
