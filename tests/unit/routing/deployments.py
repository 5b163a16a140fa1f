"""Deployments and what is known of them, made for tests."""

from dataclasses import dataclass, field
from random import Random

from shared.ledger.prices import Price
from shared.providers.catalog import Deployment, Provider
from shared.providers.model_rows import ChatModel
from shared.routing.board import Standing
from shared.routing.choose import View
from shared.routing.health import Health

NOW = 1000.0


def deployment(name: str, *, weight: float = 1.0, priority: int = 0, hedge: bool = False) -> Deployment:
    """A deployment of `model` at the provider of this name."""
    model = ChatModel(
        kind="chat",
        name="model",
        context_window=8192,
        price=Price(input=1, output=2),
        weight=weight,
        priority=priority,
        hedge=hedge,
    )
    return Deployment(Provider(name=name, base_url="http://127.0.0.1:1/v1"), model)


def known(first_token: float = 0.5, per_token: float = 0.01, **more: float) -> Health:
    """A deployment that was measured just now."""
    return Health(first_token=first_token, per_token=per_token, measured_at=NOW - 1, first_tokens=100, **more)  # type: ignore[arg-type]


@dataclass
class World:
    """What a view is made of."""

    healths: dict[str, Health] = field(default_factory=dict)
    in_flight: dict[str, int] = field(default_factory=dict)
    seed: int = 1

    def view(self, *, tokens: int = 100, now: float = NOW, random: Random | None = None) -> View:
        """What a choice is made by, by provider name."""
        standings = {
            f"{name}/model": Standing(
                health=self.healths.get(name, Health()), in_flight=self.in_flight.get(name, 0)
            )
            for name in self.healths.keys() | self.in_flight.keys()
        }
        return View(standings=standings, now=now, tokens=tokens, random=random or Random(self.seed))
