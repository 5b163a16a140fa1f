"""Whom the limits of all batches of a tenant are counted for."""

from shared.limits.caller import Caller
from shared.limits.limits import Limits

# No key has this id: theirs begin with `key_`.
_ALL_BATCHES = "batches"


def all_batches(tenant_id: str, limits: Limits) -> Caller:
    """A caller that stands for them all, with these limits."""
    return Caller(tenant_id=tenant_id, key_id=_ALL_BATCHES, role="member", limits=limits)
