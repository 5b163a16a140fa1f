"""Work for a caller that ends when the caller goes away, where that can be seen.

Behind the Lambda Web Adapter nobody is told; there the deadline of the request ends the work.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.types import Receive

T = TypeVar("T")


class CallerGoneError(Exception):
    """The caller closed the connection before the answer was there; nobody waits for one."""


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled where it stands when the caller disconnects.

    Args:
        request: Its body has been read.
        work: What the answer is made of.

    Raises:
        CallerGoneError: The caller went away first; `work` has ended.
    """
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(disconnected(request.receive))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise CallerGoneError
    finally:
        gone.cancel()
        working.cancel()
        await asyncio.wait({working, gone})


async def disconnected(receive: Receive) -> None:
    """Returns when the caller closes the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
