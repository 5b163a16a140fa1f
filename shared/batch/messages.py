"""Messages of the batch queue. Any may come twice, late, or not at all: the rows say what is left to do."""

from pydantic import BaseModel, ConfigDict


class AdvanceBatch(BaseModel):
    """Take the next step of a batch: split its file, send chunks, or write its results."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant_id: str
    batch_id: str


class WorkChunk(BaseModel):
    """Ask the lines of one chunk that still wait."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant_id: str
    batch_id: str
    chunk_number: int


Message = WorkChunk | AdvanceBatch
