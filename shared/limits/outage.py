"""Remembers that PostgreSQL failed, so that one request waits for it and not each."""

import time

# Seconds for which a failure is remembered. Longer than a try lasts, so that under load one try is always
# under way while the others do not wait.
PAUSE = 4.0


class Outage:
    """Whether PostgreSQL failed lately. A look-up that has something to fall back on then does not wait."""

    def __init__(self) -> None:
        self._until = 0.0

    @property
    def under_way(self) -> bool:
        """Whether the last failure is fresh."""
        return time.monotonic() < self._until

    def begin(self) -> None:
        """A look-up failed, or took too long."""
        self._until = time.monotonic() + PAUSE

    def end(self) -> None:
        """A look-up was answered."""
        self._until = 0.0
