"""Connections to hosts by name, made to an address that was checked, and to no other."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection, Sequence

from shared.web.address import is_permissible, is_public, parse
from shared.web.connection import AddressRefusedError

_CONNECT_SECONDS = 10.0

# The addresses of a host, each as the text of its literal.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver.

    Raises:
        OSError: The host has no address.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in found]


async def open_checked(
    host: str, port: int, *, permitted_hosts: Collection[str] = (), resolve: Resolve = resolve
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to `host`, resolved once; an address that may not be reached is not tried.

    Raises:
        AddressRefusedError: No address of it may be reached.
        OSError: It cannot be reached.
    """
    named = f"[{host}]" if ":" in host else host
    judge = is_permissible if f"{named}:{port}" in permitted_hosts else is_public
    addresses = [text for text in await resolve(host, port) if (address := parse(text)) and judge(address)]
    if not addresses:
        raise AddressRefusedError
    async with asyncio.timeout(_CONNECT_SECONDS):
        # A literal, which is not resolved again.
        return await asyncio.open_connection(addresses[0], port)
