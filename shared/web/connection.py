"""HTTP sessions that can only connect to addresses that may be reached.

The check is made where the socket is made, with the very address that is connected to next. Names, literals
in any spelling and answers of DNS that change all pass through it; nothing lies between check and connection.
"""

import socket
from typing import TYPE_CHECKING

from shared.web.address import is_permissible, is_public, parse

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver

_CONNECTIONS = 32
_CONNECTIONS_PER_HOST = 4
_CONNECT_SECONDS = 10

# The 5-tuple of socket.getaddrinfo.
AddressInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]


class AddressRefusedError(OSError):
    """This address may not be connected to. Names no address, so as to tell nothing of the network."""


def open_session(
    *, permitted: bool, user_agent: str, resolver: "AbstractResolver | None" = None
) -> "aiohttp.ClientSession":
    """A session without cookies that decompresses nothing.

    Args:
        permitted: The hosts to be reached were permitted by name, so they may be at private addresses.
    """
    import aiohttp

    connector = aiohttp.TCPConnector(
        limit=_CONNECTIONS,
        limit_per_host=_CONNECTIONS_PER_HOST,
        socket_factory=_permitted_socket if permitted else _public_socket,
        resolver=resolver,
        use_dns_cache=False,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"User-Agent": user_agent, "Accept-Encoding": "gzip, deflate"},
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
    )


def _public_socket(info: AddressInfo) -> socket.socket:
    address = parse(info[4][0])
    if address is None or not is_public(address):
        raise AddressRefusedError
    return socket.socket(info[0], info[1], info[2])


def _permitted_socket(info: AddressInfo) -> socket.socket:
    address = parse(info[4][0])
    if address is None or not is_permissible(address):
        raise AddressRefusedError
    return socket.socket(info[0], info[1], info[2])
