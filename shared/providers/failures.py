"""What can go wrong with an upstream call, classified before anyone thinks of retrying."""

from dataclasses import dataclass
from typing import Literal

from shared.errors import InvalidRequestError, RateLimitError, UpstreamError, WeirError
from shared.providers.catalog import Deployment

FailureKind = Literal[
    "refused",  # 400, 404, 413, 422: the request is at fault, and would be anywhere
    "unauthorized",  # 401, 403: our key is at fault
    "unpaid",  # 402: our balance is at fault
    "rate_limited",  # 429
    "overloaded",  # 5xx, or DeepSeek ends an answer with `insufficient_system_resource`
    "timeout",
    "unreachable",
    "broken",  # an answer that is none, or a stream that ends in the middle
]

_BY_STATUS: dict[int, FailureKind] = {
    401: "unauthorized",
    402: "unpaid",
    403: "unauthorized",
    408: "timeout",
    429: "rate_limited",
}


@dataclass(frozen=True)
class Tried:
    """A deployment that was asked and did not give the answer; `hedged`: another was faster."""

    deployment: Deployment
    kind: FailureKind | Literal["hedged"]


class UpstreamFailure(Exception):  # noqa: N818 - a failure is data for routing before it is an error
    """One failed call to one deployment. The message may be the provider's own and holds no secret.

    `retry_after` is in seconds. `tried` are all that were asked for the request, once nobody is left to ask.
    """

    def __init__(
        self, kind: FailureKind, provider: str, message: str, *, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{provider}: {kind}: {message}")
        self.kind = kind
        self.provider = provider
        self.message = message
        self.retry_after = retry_after
        self.tried: tuple[Tried, ...] = ()

    def for_caller(self) -> WeirError:
        """The error that a caller is shown when nobody else could answer."""
        match self.kind:
            case "refused":
                return InvalidRequestError(self.message, code="upstream_refused")
            case "rate_limited":
                return RateLimitError(
                    f"{self.provider} is limiting requests; try again shortly.",
                    retry_after=self.retry_after or 1.0,
                )
            case "unauthorized" | "unpaid":
                return UpstreamError(f"{self.provider} does not accept this deployment's account.")
            case "overloaded" | "timeout" | "unreachable" | "broken":
                return UpstreamError(f"{self.provider} did not answer ({self.kind}); try again.")


def kind_of_status(status: int) -> FailureKind:
    """Classify an HTTP status that is no success."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return "refused" if status < 500 else "overloaded"
