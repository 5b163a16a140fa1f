"""The local catalog serves the local models beside the user's providers."""

import pytest

from local.catalog import local_catalog
from local.process import LocalError
from shared.providers.catalog import Catalog, Models

CHAT, EMBEDDINGS = "http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"

ADDED = """
[[providers]]
name = "mine"
base_url = "http://10.0.0.7:8000/v1"
secret = "none"
[[providers.models]]
kind = "chat"
name = "qwen"
context_window = 1000
price = { input = "0", output = "0" }
"""


def test_the_local_models_are_served_without_a_key() -> None:
    models = Models(Catalog.from_toml(local_catalog(CHAT, EMBEDDINGS, "")))
    (chat,) = models.chat("smollm2-135m-instruct")
    assert (chat.provider.base_url, chat.provider.secret) == (CHAT, "none")
    assert models.embedding_model("use-multilingual-v3").dimensions == 512


def test_the_users_providers_are_added() -> None:
    models = Models(Catalog.from_toml(local_catalog(CHAT, EMBEDDINGS, ADDED)))
    assert models.chat("qwen")[0].provider.name == "mine"
    assert models.chat("smollm2-135m-instruct")


@pytest.mark.parametrize(
    "broken", ["[[providers", "[[providers]]\nname = 'x'", "[[providers]]\nname='local-chat'"]
)
def test_a_broken_catalog_is_one_clear_error(broken: str) -> None:
    with pytest.raises(LocalError, match="WEIR_CATALOG"):
        local_catalog(CHAT, EMBEDDINGS, broken)
