"""What a provider wants said differently: its quirks, applied to the body just before it is sent."""

from collections.abc import Mapping
from typing import Any

import orjson

from shared.errors import InvalidRequestError
from shared.providers.catalog import Deployment
from shared.providers.quirks import CHANGES, drop_recalled


def encode_body(body: Mapping[str, Any], deployment: Deployment, *, tenant_id: str) -> bytes:
    """The JSON to send: the caller's body under the provider's name for the model, with its quirks.

    Args:
        body: What the caller means, of a chat, embeddings or reranking; it is not changed.
        deployment: Whom it is sent to.
        tenant_id: For whom.

    Raises:
        InvalidRequestError: It is nested so deeply that it cannot be written.
    """
    try:
        return orjson.dumps(_translated(body, deployment, tenant_id))
    except TypeError as error:
        # orjson reads 1,024 levels and writes 254.
        raise InvalidRequestError("The body is nested too deeply; make it flatter.") from error


def _translated(body: Mapping[str, Any], deployment: Deployment, tenant_id: str) -> Mapping[str, Any]:
    sent: Mapping[str, Any] = {**body, "model": deployment.upstream_name}
    if "messages" not in sent:
        return sent
    for quirk, change in CHANGES.items():
        if quirk in deployment.provider.quirks:
            sent = change(sent, tenant_id)
    return drop_recalled(sent)
