"""What stands in the ingestion queue, beside S3's own events."""

from pydantic import BaseModel, ConfigDict


class IngestFile(BaseModel):
    """Ingest one file, whose bytes are there, into one store."""

    model_config = ConfigDict(frozen=True)

    tenant_id: str
    vector_store_id: str
    file_id: str
