"""The catalog as batches see it: at their price, and without limits of rate, which are for live requests."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from shared.ledger.prices import Price
from shared.limits.limits import Limits
from shared.providers.catalog import Catalog, Models, Provider

_PRICES = ("input", "cached_input", "output", "peak_input", "peak_cached_input", "peak_output")
_SMALLEST = Decimal("0.000001")


def batch_models(models: Models, factor: Decimal, factors: Mapping[str, Decimal]) -> Models:
    """The same models with prices multiplied.

    Args:
        models: Those of live requests.
        factor: For providers that `factors` do not name.
        factors: By provider.
    """
    providers = tuple(
        _for_batches(provider, factors.get(provider.name, factor)) for provider in models.catalog.providers
    )
    return Models(Catalog(providers=providers))


def budgets_of(limits: Limits) -> Limits:
    """The limits of money alone: a batch does not use up what its key may ask in a minute."""
    return Limits(budget_per_day=limits.budget_per_day, budget_per_month=limits.budget_per_month)


def _for_batches(provider: Provider, factor: Decimal) -> Provider:
    models = tuple(
        model.model_copy(
            update={"price": _multiplied(model.price, factor), "limits": budgets_of(model.limits)}
        )
        for model in provider.models
    )
    return provider.model_copy(update={"models": models})


def _multiplied(price: Price, factor: Decimal) -> Price:
    changed: dict[str, Any] = {
        name: (value * factor).quantize(_SMALLEST)
        for name in _PRICES
        if (value := getattr(price, name)) is not None
    }
    return price.model_copy(update=changed)
