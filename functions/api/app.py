"""The API application: files, vector stores, scrapes, batches, keys, usage, and the page."""

from pathlib import Path

from fastapi import FastAPI

from api.body_limit import BodyLimit
from api.caller import Authentication
from api.errors import install_error_handlers
from api.routes import (
    batches,
    file_batches,
    files,
    keys,
    limits,
    page,
    scrape_schedules,
    scrapes,
    search,
    store_files,
    tickets,
    usage,
    vector_stores,
)
from api.services import Services
from shared.http.request_id import RequestIdHeader
from shared.telemetry import Logger

PAGE = Path(__file__).parent / "page"


def create_app(services: Services, log: Logger) -> FastAPI:
    """The ASGI application over open services."""
    app = FastAPI(title="Weir", openapi_url=None, redirect_slashes=False)
    app.state.services = services
    app.include_router(page.create_router(PAGE, services.page_origins))
    for routes in (
        files,
        vector_stores,
        search,
        store_files,
        file_batches,
        scrapes,
        scrape_schedules,
        batches,
        keys,
        limits,
        tickets,
        usage,
    ):
        app.include_router(routes.router, prefix="/v1")
    install_error_handlers(app, log)
    app.add_middleware(
        BodyLimit,
        json_bytes=services.limits.json_limit_bytes,
        upload_bytes=services.limits.upload_limit_bytes,
    )
    app.add_middleware(Authentication, services=services)
    app.add_middleware(RequestIdHeader)
    return app
