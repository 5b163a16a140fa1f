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
        body: What the caller means, of a chat or of embeddings; it is not changed.
        deployment: Whom it is sent to.
        tenant_id: For whom.

    Raises:
        InvalidRequestError: It is nested so deeply that it cannot be written.
    """
    sent: Mapping[str, Any] = {**body, "model": deployment.upstream_name}
    if "messages" in sent:
        quirks = deployment.provider.quirks
        for quirk, change in CHANGES.items():
            if quirk in quirks:
                sent = change(sent, tenant_id)
        sent = drop_recalled(sent)
    try:
        return orjson.dumps(sent)
    except TypeError as error:
        # orjson reads 1,024 levels and writes 254.
        raise InvalidRequestError("The body is nested too deeply; make it flatter.") from error
