"""What another process needs to go on with an answer whose maker died: kept beside its log."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from shared.completion.admit import route_of
from shared.completion.call import Admitted, Call
from shared.completion.compose import Composed
from shared.completion.policy import Caching
from shared.completion.request import ChatRequest, WeirOptions, parse_request
from shared.completion.services import Services
from shared.limits.caller import Caller
from shared.limits.limits import NOTHING
from shared.limits.reservation import Reservation


class Succession(BaseModel):
    """A composed request, as far as it can be said without the process that composed it."""

    model_config = ConfigDict(frozen=True)

    request_id: str
    caller: Caller
    weir: WeirOptions = WeirOptions()
    body: dict[str, Any]
    body_bytes: int
    caching: Caching
    started: datetime

    @classmethod
    def of(cls, composed: Composed) -> "Succession":
        """Of a request that is under way."""
        call = composed.admitted.call
        return cls(
            request_id=call.request_id,
            caller=call.caller,
            weir=call.request.weir,
            body=dict(composed.body),
            body_bytes=call.body_bytes,
            caching=composed.caching,
            started=call.started,
        )

    def encode(self) -> bytes:
        """As it is kept."""
        return self.model_dump_json().encode()

    def composed(self, services: Services, now_monotonic: float) -> Composed:
        """The request again. What was reserved for it went with its maker; the ledger bills it all the same.

        Raises:
            NotFoundError: Its model is no longer served.
            InvalidRequestError: Its model can no longer do what is asked.
        """
        request = parse_request(ChatRequest, self.body).model_copy(update={"weir": self.weir})
        route = route_of(services, request)
        call = Call(
            request_id=self.request_id,
            endpoint="/v1/chat/completions",
            caller=self.caller,
            body=self.body,
            body_bytes=self.body_bytes,
            request=request,
            started=self.started,
            started_monotonic=now_monotonic,
        )
        admitted = Admitted(
            call=call,
            route=route,
            reservation=Reservation(
                reservation_id=self.request_id,
                caller=self.caller,
                model=request.model,
                demand=NOTHING,
            ),
            deadline=now_monotonic + services.router.patience.request_seconds,
        )
        return Composed(admitted=admitted, body=self.body, passages=(), caching=self.caching)
