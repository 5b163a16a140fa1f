"""What knowledge asks of embeddings, without knowing who answers."""

from collections.abc import Sequence
from typing import Protocol


class Embedder(Protocol):
    """Turns texts into vectors."""

    async def embed(self, model: str, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """One vector per text, in order.

        Raises:
            NotFoundError: No embedding model has this name.
            UpstreamFailure: Nobody answered.
        """
