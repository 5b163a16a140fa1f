"""Embeds a store anew with another model, some of its chunks a message, and switches when all are done."""

import asyncio
from typing import Literal

from shared.errors import WeirError
from shared.knowledge.change_lease import (
    ChangeClaim,
    ChangeRefusal,
    claim_change,
    put_back,
    renew_change,
)
from shared.knowledge.lease import renewed
from shared.knowledge.means import JobBusyError, Means, reason_of
from shared.knowledge.messages import ReembedStore
from shared.knowledge.model_change import switch
from shared.knowledge.next_space import add_vectors, unembedded

# `going_on`: a message for the rest is in the queue.
ChangeOutcome = Literal["switched", "going_on"] | ChangeRefusal


class Reembedding:
    """The change of stores to another embedding model."""

    def __init__(self, means: Means) -> None:
        self._means = means

    async def run(self, job: ReembedStore) -> ChangeOutcome:
        """Embed the next chunks. After the last attempt that failed the store stays with the model it has.

        Raises:
            JobBusyError: Let the message come back.
        """
        means = self._means
        async with means.database.tenant(job.tenant_id) as connection:
            claim = await claim_change(
                connection,
                job,
                means.clock(),
                means.limits.lease,
                max_attempts=means.limits.max_attempts,
            )
        if not isinstance(claim, ChangeClaim):
            if claim == "busy":
                raise JobBusyError(f"{job.vector_store_id} is being embedded anew.")
            return claim
        try:
            async with renewed(lambda: self._renew(claim), means.limits.lease, means.log):
                return await self._carry_out(claim)
        except asyncio.CancelledError:
            await asyncio.shield(self._put_back(claim, "Its worker was stopped."))
            raise
        except Exception as error:
            await self._put_back(claim, reason_of(error))
            raise

    async def _carry_out(self, claim: ChangeClaim) -> ChangeOutcome:
        means, tenant_id, limit = self._means, claim.job.tenant_id, self._means.limits.reembedded_chunks
        async with means.database.tenant(tenant_id) as connection:
            chunks = await unembedded(connection, claim, limit)
        texts = [chunk.text for chunk in chunks]
        embedded = await means.embedding.embed(tenant_id, claim.model, claim.dimensions, texts)
        async with means.database.tenant(tenant_id) as connection:
            if not await add_vectors(connection, claim, chunks, embedded.vectors):
                return "gone"
        means.count("VectorsReused", embedded.reused)
        if len(chunks) < limit:
            async with means.database.tenant(tenant_id) as connection:
                if await switch(connection, claim):
                    return "switched"
        # To the end, and then from the beginning for what came in behind us.
        last = chunks[-1] if len(chunks) == limit else None
        after = ("", 0, 0) if last is None else (last.file_id, last.version, last.ordinal)
        await means.queue.send([claim.job.model_copy(update={"after": after})])
        return "going_on"

    async def _put_back(self, claim: ChangeClaim, reason: str) -> None:
        means = self._means
        try:
            async with means.database.tenant(claim.job.tenant_id) as connection:
                await put_back(connection, claim, reason, max_attempts=means.limits.max_attempts)
        except WeirError:
            # The lease ends by itself, and the message comes back.
            means.log.warning("lease not given back", exc_info=True, extra=claim.job.model_dump())

    async def _renew(self, claim: ChangeClaim) -> bool:
        means = self._means
        async with means.database.tenant(claim.job.tenant_id) as connection:
            return await renew_change(connection, claim, means.clock(), means.limits.lease)
