"""The lease of a batch's first and last step: one process does it at a time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from shared.batch import transitions
from shared.batch.means import Means
from shared.batch.models import Batch


@dataclass(frozen=True)
class Lease:
    """The right to work on a batch, until it is not renewed any more."""

    means: Means
    batch: Batch
    lease_id: UUID

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Renew it all the time."""
        async with self.means.kept(self._renew):
            yield

    async def _renew(self) -> bool:
        means, batch = self.means, self.batch
        async with means.database.tenant(batch.tenant_id) as connection:
            return await transitions.renew(
                connection, batch.batch_id, self.lease_id, means.clock(), means.rules.lease
            )


async def claimed(means: Means, batch: Batch) -> Lease | None:
    """The lease of a batch; `None` while another has it."""
    async with means.database.tenant(batch.tenant_id) as connection:
        lease_id = await transitions.claim(connection, batch.batch_id, means.clock(), means.rules.lease)
    return None if lease_id is None else Lease(means, batch, lease_id)
