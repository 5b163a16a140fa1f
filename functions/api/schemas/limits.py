"""Limits and budgets as they are sent and shown.

Money is in dollars: sent as a number or as a string of one, shown as a string, because it is exact.
"""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from api.schemas.fields import RequestModel
from shared.limits.limits import Count, Limits
from shared.limits.money import dollars, microdollars

_Usd = Annotated[Decimal, Field(ge=0, le=10**9, decimal_places=6)]


class LimitFields(RequestModel):
    """Limits within a request; null is no limit. Days and months are UTC's."""

    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    concurrent_requests: Count | None = None
    budget_per_day_usd: _Usd | None = None
    budget_per_month_usd: _Usd | None = None

    def applied_to(self, limits: Limits) -> Limits:
        """The limits with those changed that were sent, be it to null."""
        return Limits(**(limits.model_dump() | self._sent()))

    def _sent(self) -> dict[str, int | None]:
        every = {
            "requests_per_minute": self.requests_per_minute,
            "tokens_per_minute": self.tokens_per_minute,
            "concurrent_requests": self.concurrent_requests,
            "budget_per_day": _money(self.budget_per_day_usd),
            "budget_per_month": _money(self.budget_per_month_usd),
        }
        sent = {name.removesuffix("_usd") for name in self.model_fields_set}
        return {name: value for name, value in every.items() if name in sent}


class ShownLimits(BaseModel):
    """Limits within an answer."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_requests: int | None
    budget_per_day_usd: str | None
    budget_per_month_usd: str | None


class TenantLimitsObject(ShownLimits):
    """What all keys of the tenant may use together."""

    object: Literal["limits"] = "limits"


def shown_limits(limits: Limits) -> dict[str, int | str | None]:
    """The fields of `ShownLimits`."""
    return {
        "requests_per_minute": limits.requests_per_minute,
        "tokens_per_minute": limits.tokens_per_minute,
        "concurrent_requests": limits.concurrent_requests,
        "budget_per_day_usd": _shown(limits.budget_per_day),
        "budget_per_month_usd": _shown(limits.budget_per_month),
    }


def tenant_limits_object(limits: Limits) -> TenantLimitsObject:
    """A tenant's limits as they are shown."""
    return TenantLimitsObject.model_validate(shown_limits(limits))


def _money(amount: Decimal | None) -> int | None:
    return None if amount is None else microdollars(amount)


def _shown(amount: int | None) -> str | None:
    return None if amount is None else dollars(amount)
