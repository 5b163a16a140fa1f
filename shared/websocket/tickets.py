"""One-time tickets: a browser connects with one, and never holds the key."""

import hashlib
import secrets
from typing import cast

from shared.errors import AuthenticationError, UnavailableError
from shared.valkey.client import Valkey

LIFETIME_SECONDS = 60


class Tickets:
    """Issued for a key, good once."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey

    async def issue(self, key_hash: bytes) -> str:
        """A ticket that stands for a key.

        Raises:
            UnavailableError: Valkey is gone.
        """
        ticket = secrets.token_urlsafe(24)
        name = _name(ticket)
        if not await self._valkey.attempt(lambda c: c.set(name, key_hash, ex=LIFETIME_SECONDS)):
            raise UnavailableError("Tickets cannot be issued at the moment; try again shortly.")
        return ticket

    async def redeem(self, ticket: str) -> bytes:
        """The hash of the key that a ticket stands for; the ticket is used up.

        Raises:
            AuthenticationError: The ticket is unknown, used, or over a minute old.
        """
        stored = await self._valkey.attempt(lambda client: client.getdel(_name(ticket)))
        if stored is None:
            raise AuthenticationError("This ticket is unknown, used or expired; get one at /v1/tickets.")
        return cast("bytes", stored)


def _name(ticket: str) -> str:
    # Hashed: who reads Valkey cannot connect.
    return f"ws-ticket:{hashlib.sha256(ticket.encode()).hexdigest()}"
