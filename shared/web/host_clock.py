"""When a host may be asked again, as far as one process knows: what is left of politeness without Valkey."""

from collections.abc import Callable

# Hosts whose time has passed are forgotten when there are more than this.
_HOSTS = 1_000


class HostClock:
    """Spaces the requests to each host.

    Who must wait long leaves, and takes a place at the end of the host's line: so that those who left do not
    all come back at once.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        """Args:
        seconds: A monotonic clock.
        """
        self._seconds = seconds
        self._next: dict[str, float] = {}
        self._line: dict[str, float] = {}

    def take_turn(self, host: str, delay: float) -> float:
        """0 when the turn is taken, after which `host` rests for `delay` seconds; else the seconds to it."""
        now = self._seconds()
        wait = self._next.get(host, now) - now
        if wait > 0:
            return wait
        self._forget(now)
        self._next[host] = now + delay
        return 0.0

    def rest(self, host: str, seconds: float) -> None:
        """Leave `host` alone for so many seconds from now on."""
        self._next[host] = max(self._next.get(host, 0.0), self._seconds() + seconds)

    def join_line(self, host: str, delay: float) -> float:
        """A place at the end of the line: the seconds after which to come back and take a turn."""
        now = self._seconds()
        place = max(self._line.get(host, now), self._next.get(host, now))
        self._line[host] = place + delay
        return place - now

    def _forget(self, now: float) -> None:
        if len(self._next) > _HOSTS:
            self._next = {host: time for host, time in self._next.items() if time > now}
            self._line = {host: time for host, time in self._line.items() if time > now}
