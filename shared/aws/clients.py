"""AWS calls from async code: one boto3 client per service, each call in a thread.

boto3 is imported when the first client is made, so that chat's import does not pay for it (some 400 ms).
"""

import asyncio
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

if TYPE_CHECKING:
    import boto3

P = ParamSpec("P")
R = TypeVar("R")

Service = Literal["s3", "sqs", "secretsmanager", "ssm", "scheduler"]


@cache
def client(service: Service) -> Any:
    """The process's one client of `service`, thread-safe; region and credentials as boto3 finds them."""
    from botocore.config import Config

    return session().client(
        service,
        config=Config(
            retries={"mode": "standard", "total_max_attempts": 4},
            connect_timeout=3,
            read_timeout=20,
            max_pool_connections=32,
            signature_version="s3v4" if service == "s3" else None,
            # The region's own host in presigned URLs: a browser does not follow the global one's redirect.
            s3={"addressing_style": "virtual"} if service == "s3" else None,
        ),
    )


@cache
def session() -> "boto3.session.Session":
    """The process's one session: its region and its credentials."""
    import boto3

    return boto3.session.Session()


async def call(method: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run one blocking AWS call in a worker thread."""
    return await asyncio.to_thread(method, *args, **kwargs)
