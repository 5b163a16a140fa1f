"""Which deployment answers: tries them in catalog order, on to the next where another could do better."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from shared.providers.catalog import Deployment
from shared.providers.dialect import encode_body
from shared.providers.failures import FailureKind, UpstreamFailure
from shared.providers.load import Credentials

if TYPE_CHECKING:
    from shared.providers.endpoint import Endpoint

R = TypeVar("R")

# A request at fault is at fault everywhere, and an unpaid bill is for a person to see, not to route around.
_ELSEWHERE: frozenset[FailureKind] = frozenset(
    ("rate_limited", "overloaded", "timeout", "unreachable", "broken")
)


@dataclass(frozen=True)
class Buffered:
    """A whole answer and who gave it."""

    deployment: Deployment
    content: bytes


@dataclass(frozen=True)
class Streaming:
    """An answer under way and who gives it. Closing `resources` ends the upstream call."""

    deployment: Deployment
    chunks: AsyncIterator[bytes]
    resources: AsyncExitStack


class Router:
    """Sends requests upstream."""

    def __init__(self, credentials: Sequence[Credentials]) -> None:
        self._credentials = {c.provider.name: c for c in credentials}
        self._endpoints: dict[str, Endpoint] = {}

    async def send(self, deployments: Sequence[Deployment], path: str, body: Mapping[str, Any]) -> Buffered:
        """The whole answer of the first deployment that gives one.

        Raises:
            UpstreamFailure: The last deployment's, when none answered.
        """

        async def attempt(deployment: Deployment) -> Buffered:
            content = await self._endpoint(deployment).send(path, encode_body(body, deployment))
            return Buffered(deployment, content)

        return await first_answer(deployments, attempt)

    async def stream(
        self, deployments: Sequence[Deployment], path: str, body: Mapping[str, Any]
    ) -> Streaming:
        """An answer under way from the first deployment that begins one.

        Raises:
            UpstreamFailure: The last deployment's, when none began.
        """

        async def attempt(deployment: Deployment) -> Streaming:
            resources = AsyncExitStack()
            call = self._endpoint(deployment).stream(path, encode_body(body, deployment))
            return Streaming(deployment, await resources.enter_async_context(call), resources)

        return await first_answer(deployments, attempt)

    async def close(self) -> None:
        """Close every connection."""
        for endpoint in self._endpoints.values():
            await endpoint.close()

    def _endpoint(self, deployment: Deployment) -> "Endpoint":
        # Imported at the first call: the OpenAI SDK is most of what a chat imports (some 600 ms).
        from shared.providers.endpoint import Endpoint

        name = deployment.provider.name
        if name not in self._endpoints:
            self._endpoints[name] = Endpoint(self._credentials[name])
        return self._endpoints[name]


async def first_answer(deployments: Sequence[Deployment], attempt: Callable[[Deployment], Awaitable[R]]) -> R:
    """Try deployments in order until one answers or a failure would be the same everywhere.

    Raises:
        UpstreamFailure: That of the last one tried.
    """
    *earlier, last = deployments
    for deployment in earlier:
        try:
            return await attempt(deployment)
        except UpstreamFailure as failure:
            if failure.kind not in _ELSEWHERE:
                raise
    return await attempt(last)
