"""A call that nobody answered: its tokens go back to the key, and nothing is billed."""

from shared.completion.call import Admitted, RequestT
from shared.completion.services import Services


async def refund(services: Services, admitted: Admitted[RequestT]) -> None:
    """Undo the tokens that `admit` counted; the request stays counted, so that none can hammer failures."""
    await services.limiter.correct(admitted.call.caller, estimated=admitted.estimated_tokens, actual=0)
