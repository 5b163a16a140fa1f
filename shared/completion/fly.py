"""Third and fourth step: what was answered before is given again, and identical requests join one call."""

from shared.cache.flights import Follow, Hit, Lead
from shared.completion.compose import Composed
from shared.completion.services import Services

Boarding = Hit | Lead | Follow


async def fly(services: Services, composed: Composed) -> Boarding | None:
    """Who makes the answer: the cache (`Hit`), this request (`Lead`), or another one in flight (`Follow`).

    `None`: this request asks upstream for itself alone, for caching is off or Valkey is gone.
    """
    call = composed.admitted.call
    if composed.caching.mode != "off":
        return await services.flights.board(composed.flight_key, call.request_id, recall=True)
    if composed.resumable and call.request.stream:
        writer = await services.flights.open(composed.flight_key, call.request_id)
        return Lead(writer) if writer else None
    return None
