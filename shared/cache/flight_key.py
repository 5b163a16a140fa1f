"""Where a flight lives in Valkey: all keys of one question share a hash tag, so that a script may."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FlightKey:
    """One question of one tenant; `digest` is its `exact_key`."""

    tenant_id: str
    digest: str

    @property
    def entry(self) -> str:
        """String: the stored answer."""
        return self._name("entry")

    @property
    def flight(self) -> str:
        """String: the id of the flight that whoever asks the same should join."""
        return self._name("flight")

    @property
    def readers(self) -> str:
        """Sorted set: who reads which flight, by the time (ms) at which that is forgotten."""
        return self._name("readers")

    def _name(self, kind: str) -> str:
        return f"{kind}:{{{self.tenant_id}:{self.digest}}}"


@dataclass(frozen=True)
class Flight:
    """One attempt at answering a question: a log and who leads it."""

    key: FlightKey
    flight_id: str

    @property
    def log(self) -> str:
        """Stream: batches of items. The first half of an entry's id is the last index in its batch."""
        return self._name("log")

    @property
    def lease(self) -> str:
        """String: there as long as the leader is believed alive."""
        return self._name("lease")

    @property
    def state(self) -> str:
        """Hash: token (who may write), seq (its last batch), bytes, joint, cancelled, ended."""
        return self._name("state")

    @property
    def body(self) -> str:
        """String: the composed request, for who takes over without having asked."""
        return self._name("body")

    def _name(self, kind: str) -> str:
        return f"{kind}:{{{self.key.tenant_id}:{self.key.digest}}}:{self.flight_id}"


@dataclass(frozen=True, kw_only=True)
class FlightOptions:
    """Times in seconds, sizes in bytes.

    `lease_seconds`: after this long without a sign the leader counts as dead; a leader that has not yet given
    its first sign, after `boarding_seconds`. `log_seconds`: how long a log can be read after its last write.
    `log_bytes`: what a log may hold; a longer answer cannot be resumed or joined. `body_bytes`: the largest
    request kept for who takes over. `pointer_seconds`: how long an answer is found by its id.
    """

    lease_seconds: float = 10.0
    boarding_seconds: float = 3.0
    log_seconds: float = 600.0
    log_bytes: int = 8 * 2**20
    body_bytes: int = 256 * 2**10
    pointer_seconds: float = 3600.0

    @property
    def first_lease_seconds(self) -> float:
        """The lease that boarding gives."""
        return min(self.boarding_seconds, self.lease_seconds)

    @property
    def renewal_seconds(self) -> float:
        """How often a leader gives a sign."""
        return min(1.0, self.first_lease_seconds / 3)
