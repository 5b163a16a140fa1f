"""Secrets by reference, so that none stands in a function's environment in clear."""

import os

from shared.aws.clients import call, client

# What AWS answers when nothing stands behind a name.
_ABSENT = frozenset({"ResourceNotFoundException", "ParameterNotFound"})


class UnknownSecretError(Exception):
    """The reference is of no known form, or nothing stands behind it."""


async def read_secret(reference: str) -> str:
    """The secret's value.

    Args:
        reference: `secretsmanager:NAME_OR_ARN`, `ssm:/PARAMETER` or `env:VARIABLE` (one machine only).

    Raises:
        UnknownSecretError: Unknown form, or nothing behind it.
    """
    scheme, _, name = reference.partition(":")
    if scheme == "env" and os.environ.get(name):
        return os.environ[name]
    if scheme in ("secretsmanager", "ssm"):
        return await _from_aws(scheme, name)
    raise UnknownSecretError(f"There is no secret behind {reference!r}.")


async def _from_aws(scheme: str, name: str) -> str:
    from botocore.exceptions import ClientError

    try:
        if scheme == "ssm":
            answer = await call(client("ssm").get_parameter, Name=name, WithDecryption=True)
            return str(answer["Parameter"]["Value"])
        answer = await call(client("secretsmanager").get_secret_value, SecretId=name)
        return str(answer["SecretString"])
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT:
            raise UnknownSecretError(f"There is no secret behind {scheme}:{name}.") from error
        raise
