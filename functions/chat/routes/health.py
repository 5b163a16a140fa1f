"""GET /healthz: the web adapter asks it before the first request."""

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

router = APIRouter()


@router.get("/healthz", response_class=PlainTextResponse, include_in_schema=False)
async def health() -> str:
    """Alive. Says nothing of Valkey, PostgreSQL or providers, without which chat goes on as far as it can."""
    return "ok"
