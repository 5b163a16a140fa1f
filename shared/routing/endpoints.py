"""The endpoints that this process calls, each opened with its first call."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shared.providers.catalog import Deployment
from shared.providers.load import Credentials

if TYPE_CHECKING:
    from shared.providers.endpoint import Endpoint


class Endpoints:
    """One endpoint for each provider, key and address."""

    def __init__(self, credentials: Sequence[Credentials]) -> None:
        """`credentials`: a key for each deployment that may be asked."""
        self._credentials = {(c.provider.name, c.key): c for c in credentials}
        self._open: dict[tuple[str, int, str], Endpoint] = {}

    def of(self, deployment: Deployment, base_url: str | None = None) -> "Endpoint":
        """Where a deployment is called; `base_url`: another of its provider's addresses than the usual."""
        # Imported at the first call, which keeps aiohttp out of the import of whoever routes nothing.
        from shared.providers.endpoint import Endpoint

        key = (deployment.provider.name, deployment.key, base_url or deployment.provider.base_url)
        if key not in self._open:
            self._open[key] = Endpoint(self._credentials[key[:2]], base_url)
        return self._open[key]

    async def close(self) -> None:
        """Close every connection."""
        for endpoint in self._open.values():
            await endpoint.close()
