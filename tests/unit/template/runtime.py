"""What a function finds in Lambda: its settings, and the packages of its layers."""

import importlib
import re
from importlib.metadata import packages_distributions

from shared.settings import Settings
from tests.unit.template.template import ROOT, Function

REQUIREMENTS = {
    "SharedLayer": ROOT / "shared" / "requirements.txt",
    "DocumentsLayer": ROOT / "shared" / "requirements-documents.txt",
}

# Part of every Python here, or of the stub packages' own kind.
_NEVER_SHIPPED = {"pip", "setuptools", "wheel"}


def settings_of(function: Function) -> type[Settings]:
    """The settings model of a function: `<Package>Settings` in `<package>.settings`."""
    module = importlib.import_module(f"{function.package}.settings")
    model: type[Settings] = getattr(module, f"{function.package.title()}Settings")
    return model


def pins(layer: str) -> set[str]:
    """Normalised names of the distributions in a layer."""
    return {
        _normal(name) for name in re.findall(r"^([\w.-]+)==", REQUIREMENTS[layer].read_text(), re.MULTILINE)
    }


def missing_in(function: Function) -> set[str]:
    """Top-level modules that are installed here and not in the function's layers."""
    shipped = set().union(*(pins(layer) for layer in function.layers))
    return {
        module
        for module, distributions in packages_distributions().items()
        if not any(_normal(distribution) in shipped for distribution in distributions)
    }


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
