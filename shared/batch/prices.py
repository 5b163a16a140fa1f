"""The catalog as batches see it: at their price, and without limits of rate, which are for live requests."""

from decimal import Decimal
from typing import Any

from shared.ledger.prices import Price
from shared.limits.unattended import budgets_of
from shared.providers.catalog import Catalog, Models, Provider

_PRICES = ("input", "cached_input", "output", "peak_input", "peak_cached_input", "peak_output")
_SMALLEST = Decimal("0.000001")


def batch_models(models: Models, factor: Decimal) -> Models:
    """The same models with prices multiplied, by `factor` where the row's price says no `batch`."""
    providers = tuple(_for_batches(provider, factor) for provider in models.catalog.providers)
    return Models(Catalog(providers=providers))


def _for_batches(provider: Provider, factor: Decimal) -> Provider:
    models = tuple(
        model.model_copy(
            update={"price": _multiplied(model.price, factor), "limits": budgets_of(model.limits)}
        )
        for model in provider.models
    )
    return provider.model_copy(update={"models": models})


def _multiplied(price: Price, otherwise: Decimal) -> Price:
    factor = otherwise if price.batch is None else price.batch
    changed: dict[str, Any] = {
        name: (value * factor).quantize(_SMALLEST)
        for name in _PRICES
        if (value := getattr(price, name)) is not None
    }
    return price.model_copy(update=changed)
