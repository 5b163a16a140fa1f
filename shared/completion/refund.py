"""A call that nobody answered: its tokens go back to the key, and nothing is billed."""

from shared.completion.call import Admitted, RequestT
from shared.completion.services import Services


async def refund(services: Services, admitted: Admitted[RequestT]) -> None:
    """Give back what `admit` reserved; the request stays counted, so that none can hammer failures."""
    await services.limiter.settle(admitted.reservation, tokens=0, cost_microdollars=0)
