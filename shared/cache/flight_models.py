"""What goes to and comes from the store of flights."""

from dataclasses import dataclass
from typing import Literal

from shared.cache.flight_key import FlightKey

Standing = Literal["live", "ended", "lost", "gone"]
LogEntry = tuple[str, bytes]


@dataclass(frozen=True)
class Boarded:
    """What boarding gave: an entry as bytes, the lead, or the id of the flight to follow."""

    role: Literal["hit", "lead", "follow"]
    data: bytes


@dataclass(frozen=True)
class Batch:
    """Items on their way to the log. By its number, counted per leader, one sent twice is written once."""

    number: int
    last_index: int
    data: bytes
    total_bytes: int


@dataclass(frozen=True)
class Sign:
    """A flight as its leader sees it; not `leading`: another has taken over, or Valkey has forgotten it."""

    leading: bool
    readers: int
    cancelled: frozenset[str]


@dataclass(frozen=True)
class Taken:
    """Where the log stands that was taken over."""

    last_index: int
    total_bytes: int


@dataclass(frozen=True)
class Reading:
    """Entries (id, batch as bytes) after a cursor, and how the flight stands."""

    entries: list[LogEntry]
    standing: Standing


@dataclass(frozen=True, kw_only=True)
class Ending:
    """The last write of a leader. `batch` is empty where the log has a gap, and so may have no end."""

    last_index: int
    batch: bytes
    keep: bool
    entry: bytes
    ttl_seconds: int


@dataclass(frozen=True)
class Located:
    """Where an answer's log is, and whose key asked for it."""

    key: FlightKey
    flight_id: str
    key_id: str
