"""What a client offers as WebSocket subprotocols: the only headers that a browser lets a page set."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.errors import AuthenticationError
from shared.limits.caller import key_hash

# The subprotocol that both speak.
PROTOCOL = "weir"

_KEY, _TICKET = "weir.key.", "weir.ticket."


@dataclass(frozen=True)
class Offer:
    """Who wants to connect: by a key's hash, or by a ticket. `chosen`: the subprotocol to answer with."""

    hashed: bytes | None
    ticket: str | None
    chosen: str | None


def offer(headers: Mapping[str, str]) -> Offer:
    """What the headers of a handshake offer; names in any case.

    Raises:
        AuthenticationError: Neither a key nor a ticket.
    """
    given = {name.lower(): value for name, value in headers.items()}
    offered = [part.strip() for part in given.get("sec-websocket-protocol", "").split(",")]
    chosen = PROTOCOL if PROTOCOL in offered else None
    for protocol in offered:
        if protocol.startswith(_KEY):
            return Offer(key_hash(protocol.removeprefix(_KEY)), None, chosen)
        if protocol.startswith(_TICKET):
            return Offer(None, protocol.removeprefix(_TICKET), chosen)
    scheme, _, key = given.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return Offer(key_hash(key.strip()), None, chosen)
    raise AuthenticationError(
        "No API key given; offer the subprotocols `weir` and `weir.key.<key>` or `weir.ticket.<ticket>`, "
        "or send the header `Authorization: Bearer <key>`."
    )
