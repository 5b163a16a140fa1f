"""Reads the catalog and the providers' secrets at start."""

import asyncio
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from shared.aws.clients import call, client
from shared.aws.secrets import UnknownSecretError, read_secret
from shared.providers.catalog import Catalog, CatalogError, Provider
from shared.providers.fallbacks import check_fallbacks


@dataclass(frozen=True)
class Credentials:
    """A provider that can be called, with one key that opens it; `key` counts its keys from 1."""

    provider: Provider
    api_key: str
    key: int = 1


async def load_catalog(reference: str) -> Catalog:
    """Weir's own catalog, extended by the user's.

    Args:
        reference: A path, `s3://bucket/key`, `ssm:/parameter`, or empty for none.

    Raises:
        CatalogError: The user's catalog is not there, not of the documented form, or names fallbacks that
            are no models or go round in a circle.
    """
    own = Catalog.from_toml(files(__package__).joinpath("catalog.toml").read_text("utf-8"))
    catalog = own.extended_by(Catalog.from_toml(await _read(reference))) if reference else own
    check_fallbacks(catalog)
    return catalog


async def load_credentials(catalog: Catalog, secrets: str) -> tuple[Credentials, ...]:
    """The keys of providers whose secret is there, in catalog order; other providers are not served.

    Of a provider with several keys, those count that are there; `provider.secrets` then names these.

    Args:
        secrets: Where the secret of a provider without one of its own is: a reference as
            `shared.aws.secrets` knows them, with `{provider}` or `{PROVIDER}` for the name.
    """
    found = await asyncio.gather(*(_credentials(provider, secrets) for provider in catalog.providers))
    return tuple(credentials for of_provider in found for credentials in of_provider)


async def _credentials(provider: Provider, secrets: str) -> list[Credentials]:
    default = secrets.format(provider=provider.name, PROVIDER=provider.name.upper().replace("-", "_"))
    references = provider.secrets or (provider.secret or default,)
    keys = await asyncio.gather(*(_key(reference) for reference in references))
    found = {reference: key for reference, key in zip(references, keys, strict=True) if key is not None}
    if provider.secrets:
        provider = provider.model_copy(update={"secrets": tuple(found)})
    return [Credentials(provider, key, number) for number, key in enumerate(found.values(), start=1)]


async def _key(reference: str) -> str | None:
    if reference == "none":
        return "none"
    try:
        return await read_secret(reference)
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
