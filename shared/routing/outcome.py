"""What the end of a call shows of its deployment: pure."""

from typing import Literal

from shared.providers.failures import UpstreamFailure
from shared.routing.choose import Choice
from shared.routing.health import Observed, Samples
from shared.routing.patience import Patience

# Seconds for which a provider is left alone that limits requests and does not say for how long.
_UNNAMED_COOLING = 1.0


def of_success(choice: Choice, first_token: float | None) -> Observed:
    """A deployment answered. `first_token`: seconds until its first token, if it was seen to come."""
    return Observed(
        first_token=None if first_token is None else Samples(1, first_token),
        successes=1,
        probe="passed" if choice.probe else None,
    )


def of_pace(seconds: float, tokens: int) -> Observed | None:
    """So many tokens came in so many seconds; `None` when that says nothing."""
    return Observed(per_token=Samples(1, max(0.0, seconds) / tokens)) if tokens > 0 else None


def of_failure(
    choice: Choice, failure: UpstreamFailure, waited: float, patience: Patience
) -> Observed | None:
    """A deployment failed after so many seconds; `None` when that says nothing of the deployment.

    A request at fault shows that the deployment works; so does a provider that limits requests. Who had less
    time than a first token may take cannot be blamed for having none.
    """
    passed: Literal["passed"] | None = "passed" if choice.probe else None
    match failure.kind:
        case "refused":
            return Observed(probe="passed") if passed else None
        case "rate_limited":
            return Observed(cool_seconds=failure.retry_after or _UNNAMED_COOLING, probe=passed)
        case "timeout" if waited < patience.first_token_seconds:
            return None
        case _:
            return Observed(
                first_token=Samples(1, waited) if failure.kind == "timeout" else None,
                failures=1,
                cool_seconds=failure.retry_after or 0.0,
                probe="failed" if choice.probe else None,
            )
