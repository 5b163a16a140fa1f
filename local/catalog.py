"""The catalog of one machine: the two local models, and the providers that the user adds."""

from pathlib import Path

from local.components.models import CHAT_MODEL, CONTEXT_WINDOW, EMBEDDING_DIMENSIONS, EMBEDDING_MODEL
from local.process import LocalError
from shared.providers.catalog import Catalog, CatalogError

# The weight .2 of vectors beside BM25 is what served this encoder best in search, in English and Chinese.
_TEMPLATE = """\
# Written at every start. Add providers in a file of your own, and name it in WEIR_CATALOG.

[[providers]]
name = "local-chat"
base_url = "{chat_url}"
secret = "none"

[[providers.models]]
kind = "chat"
name = "{chat_model}"
context_window = {context_window}
abilities = ["json_object", "json_schema"]
follows_instructions = false
price = {{ input = "0", output = "0" }}

[[providers]]
name = "local-embeddings"
base_url = "{embedding_url}"
secret = "none"

[[providers.models]]
kind = "embedding"
name = "{embedding_model}"
context_window = {context_window}
dimensions = {dimensions}
price = {{ input = "0", output = "0" }}
"""


def local_catalog(chat_url: str, embedding_url: str, added: str) -> str:
    """TOML with the local models, followed by the user's own catalog.

    Args:
        added: TOML of the user's catalog, or nothing.

    Raises:
        LocalError: The user's catalog is not of the documented form.
    """
    text = _TEMPLATE.format(
        chat_url=chat_url,
        embedding_url=embedding_url,
        chat_model=CHAT_MODEL,
        embedding_model=EMBEDDING_MODEL,
        context_window=CONTEXT_WINDOW,
        dimensions=EMBEDDING_DIMENSIONS,
    )
    whole = f"{text}\n{added}"
    try:
        Catalog.from_toml(whole)
    except CatalogError as error:
        raise LocalError(f"WEIR_CATALOG: {error}") from None
    return whole


def read_user_catalog(path: str) -> str:
    """The text of the file that `WEIR_CATALOG` names, or nothing when it names none.

    Raises:
        LocalError: The file cannot be read.
    """
    try:
        return Path(path).read_text("utf-8") if path else ""
    except OSError as error:
        raise LocalError(f"WEIR_CATALOG names {path!r}, which cannot be read: {error}") from None
