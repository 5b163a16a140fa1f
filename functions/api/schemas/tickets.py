"""Tickets for a WebSocket."""

from typing import Literal

from pydantic import BaseModel


class TicketObject(BaseModel):
    """Connect to `url` with the subprotocols `weir` and `weir.ticket.<ticket>`; `expires_at` is Unix time."""

    object: Literal["ticket"] = "ticket"
    ticket: str
    url: str
    expires_at: int
