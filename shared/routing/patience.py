"""How long a request waits for what."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Seconds.

    `request_seconds` bound a whole request: callers make its deadline of them. `first_token_seconds` bound
    the wait for a stream's first token where another deployment could give one; keep-alives do not count.
    `stall_seconds` bound the wait for more of a stream; keep-alives do not count there either.
    `back_off_seconds` are the middle of the pause before one deployment is asked again, and
    `retry_after_seconds` the longest that a request itself waits for a deployment which limits it.
    """

    request_seconds: float = 590.0
    first_token_seconds: float = 60.0
    stall_seconds: float = 45.0
    back_off_seconds: float = 0.2
    retry_after_seconds: float = 2.0
