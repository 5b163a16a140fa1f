"""Reads the catalog and the providers' secrets at start."""

import asyncio
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from shared.aws.clients import call, client
from shared.aws.secrets import UnknownSecretError, read_secret
from shared.providers.catalog import Catalog, CatalogError, Provider


@dataclass(frozen=True)
class Credentials:
    """A provider that can be called, with the key that opens it."""

    provider: Provider
    api_key: str


async def load_catalog(reference: str) -> Catalog:
    """Weir's own catalog, extended by the user's.

    Args:
        reference: A path, `s3://bucket/key`, `ssm:/parameter`, or empty for none.

    Raises:
        CatalogError: The user's catalog is not there or not of the documented form.
    """
    own = Catalog.from_toml(files(__package__).joinpath("catalog.toml").read_text("utf-8"))
    return own.extended_by(Catalog.from_toml(await _read(reference))) if reference else own


async def load_credentials(catalog: Catalog, secrets: str) -> tuple[Credentials, ...]:
    """The providers whose secret is there, in catalog order; the others are not served.

    Args:
        secrets: Where the secret of a provider without one of its own is: a reference as
            `shared.aws.secrets` knows them, with `{provider}` or `{PROVIDER}` for the name.
    """
    found = await asyncio.gather(*(_credentials(provider, secrets) for provider in catalog.providers))
    return tuple(credentials for credentials in found if credentials is not None)


async def _credentials(provider: Provider, secrets: str) -> Credentials | None:
    if provider.secret == "none":  # noqa: S105 - says that there is no secret
        return Credentials(provider, "none")
    default = secrets.format(provider=provider.name, PROVIDER=provider.name.upper().replace("-", "_"))
    try:
        return Credentials(provider, await read_secret(provider.secret or default))
    except UnknownSecretError:
        return None


async def _read(reference: str) -> str:
    if reference.startswith("s3://"):
        bucket, _, key = reference.removeprefix("s3://").partition("/")
        answer = await call(client("s3").get_object, Bucket=bucket, Key=key)
        data: bytes = await call(answer["Body"].read)
        return data.decode()
    if reference.startswith("ssm:"):
        return await read_secret(reference)
    try:
        return await asyncio.to_thread(Path(reference).read_text, "utf-8")
    except OSError as error:
        raise CatalogError(f"WEIR_CATALOG names {reference!r}, which cannot be read: {error}") from error
