"""The one call by which processes share what they know of deployments: `exchange.lua`, typed."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.routing.health import Health, Observed, Samples
from shared.valkey.client import Valkey
from shared.valkey.script import Script

# All keys of routing are in one place of a cluster, so that one call reads them all.
_TAG = "{routing}"

_NO_SAMPLES = Samples()
_PROBE = {None: 0, "passed": 1, "failed": 2}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What goes to the others: what was seen by deployment id, the requests begun, and what is wanted."""

    seen: Mapping[str, Observed | None]
    requests: int
    retry: bool = False
    probe_of: str | None = None
    probe_seconds: float = 0.0


@dataclass(frozen=True)
class Told:
    """What the others know: a state by deployment id, where there is one."""

    retry: bool
    probe: bool
    states: Mapping[str, Health]


class Exchange:
    """Speaks to Valkey."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey
        self._script = Script(__package__, "exchange.lua")

    async def __call__(self, asked: Asked) -> tuple[int, int, list[bytes]] | None:
        """The script's raw answer, to be read by `told` with the time at which it came; `None`: no Valkey."""
        ids = list(asked.seen)
        keys = [f"retries:{_TAG}", *(f"health:{_TAG}:{deployment_id}" for deployment_id in ids)]
        arguments: list[str | int | float] = [
            asked.requests,
            int(asked.retry),
            ids.index(asked.probe_of) + 1 if asked.probe_of else 0,
            asked.probe_seconds,
            *(_packed(seen) for seen in asked.seen.values()),
        ]
        answer = await self._valkey.attempt(lambda client: self._script.run(client, keys, arguments))
        return (answer[0], answer[1], answer[2:]) if answer is not None else None


def told(asked: Asked, answer: tuple[int, int, list[bytes]], now: float) -> Told:
    """What the script's answer says, its moments on the clock that `now` is read from."""
    retry, probe, states = answer
    read = {i: _health(text, now) for i, text in zip(asked.seen, states, strict=True) if text}
    return Told(bool(retry), bool(probe), read)


def _packed(seen: Observed | None) -> str:
    if seen is None:
        return ""
    first, pace = seen.first_token or _NO_SAMPLES, seen.per_token or _NO_SAMPLES
    ratio = seen.token_ratio or _NO_SAMPLES
    numbers: tuple[float, ...] = (
        *(first.count, first.mean, first.squares),
        *(pace.count, pace.mean),
        *(ratio.count, ratio.mean),
        *(seen.successes, seen.failures, seen.cool_seconds, _PROBE[seen.probe]),
    )
    return " ".join(map(repr, numbers))


def _health(text: bytes, now: float) -> Health:
    words = text.split()
    return Health(
        first_token=float(words[0]),
        first_token_variance=float(words[1]),
        first_tokens=int(float(words[2])),
        per_token=float(words[3]),
        measured_at=_moment(words[4], now),
        token_ratio=float(words[5]),
        successes=float(words[6]),
        failures=float(words[7]),
        counted_at=_moment(words[8], now),
        openings=int(float(words[9])),
        open_until=_moment(words[10], now),
        cool_until=_moment(words[11], now),
        probe_until=_moment(words[12], now),
    )


def _moment(word: bytes, now: float) -> float:
    return 0.0 if word == b"never" else now + float(word)
