"""What stands in the ingestion queue, beside S3's own events."""

from pydantic import BaseModel, ConfigDict


class _Message(BaseModel):
    # Forbidden, so that no kind is taken for another.
    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant_id: str
    vector_store_id: str


class IngestFile(_Message):
    """Ingest one file, whose bytes are there, into one store."""

    file_id: str


class IngestPart(_Message):
    """Ingest one part, counted from 0, of a version of a file that was cut into parts."""

    file_id: str
    version: int
    part: int

    @property
    def file(self) -> IngestFile:
        """The job that it is a part of."""
        return IngestFile(
            tenant_id=self.tenant_id, vector_store_id=self.vector_store_id, file_id=self.file_id
        )


class ReembedStore(_Message):
    """Go on embedding what a store holds in the space that it changes to, behind the chunk `after`:
    its file, version and ordinal.
    """

    space: int
    after: tuple[str, int, int] = ("", 0, 0)
