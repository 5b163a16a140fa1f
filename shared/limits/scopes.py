"""For whom limits are counted (a key, its tenant, a model of that tenant), and where Valkey keeps counts."""

from dataclasses import dataclass
from typing import Literal

from shared.limits.caller import Caller
from shared.limits.limits import Limits
from shared.limits.periods import Period

ScopeKind = Literal["key", "tenant", "model"]


@dataclass(frozen=True, slots=True)
class Scope:
    """One of the three; `name` tells it from others of its kind within the tenant."""

    kind: ScopeKind
    name: str
    limits: Limits

    @property
    def phrase(self) -> str:
        """What it is, within a sentence."""
        return f"the model {self.name!r}" if self.kind == "model" else f"this {self.kind}"


def limited_scopes(caller: Caller, model: str, model_limits: Limits) -> tuple[Scope, ...]:
    """The scopes of a request in which anything is limited."""
    scopes = []
    if caller.limits.limited:
        scopes.append(Scope("key", caller.key_id, caller.limits))
    if caller.tenant_limits.limited:
        scopes.append(Scope("tenant", "", caller.tenant_limits))
    if model_limits.limited:
        scopes.append(Scope("model", model, model_limits))
    return tuple(scopes)


def scope_keys(tenant_id: str, scope: Scope, day: Period, month: Period) -> tuple[str, str, str, str]:
    """Where a scope's counts are: rates, open reservations, money of the day and of the month.

    All keys of a tenant share one hash tag, so that a cluster keeps them together.
    """
    name = f"{scope.kind}:{scope.name}"
    tenant = f"limits:{{{tenant_id}}}"
    return (
        f"{tenant}:rates:{name}",
        f"{tenant}:open:{name}",
        f"{tenant}:spent:{day.name}:{name}",
        f"{tenant}:spent:{month.name}:{name}",
    )


def marker_key(tenant_id: str, reservation_id: str) -> str:
    """Where it is kept that a reservation was settled."""
    return f"limits:{{{tenant_id}}}:settled:{reservation_id}"
