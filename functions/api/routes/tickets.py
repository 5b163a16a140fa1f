"""/v1/tickets: one-time tickets for a WebSocket, so that a browser need not hold the key."""

from fastapi import APIRouter, Request

from api.caller import WithServices
from api.schemas.tickets import TicketObject
from shared.errors import NotFoundError
from shared.limits.caller import key_hash
from shared.websocket.tickets import LIFETIME_SECONDS

router = APIRouter(prefix="/tickets")


@router.post("")
async def create(request: Request, services: WithServices) -> TicketObject:
    """A ticket for the key of this request, good once and for a minute."""
    if not services.websocket_url:
        raise NotFoundError("This deployment has no WebSocket API; see docs/websocket.md.")
    # The request is authenticated, so the header holds a key.
    hashed = key_hash(request.headers["authorization"].partition(" ")[2].strip())
    return TicketObject(
        ticket=await services.tickets.issue(hashed),
        url=services.websocket_url,
        expires_at=int(services.clock().timestamp()) + LIFETIME_SECONDS,
    )
