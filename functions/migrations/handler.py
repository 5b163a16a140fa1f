"""CloudFormation: brings the schema up to date, once per deploy, before new code serves.

Event: a custom resource's request, `{"RequestType": "Create" | "Update" | "Delete", "ResponseURL", ...}`. A
failure is answered too, because CloudFormation waits for an answer; it then leaves the old code serving.
"""

import asyncio
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from migrations.custom_resource import Request, fail, succeed
from migrations.schema import bring_up_to_date
from migrations.settings import MigrationsSettings
from shared.aws.secrets import read_secret
from shared.store_urls import database_url
from shared.telemetry import logger

# The resource is the schema: there is one, and an update does not replace it.
_PHYSICAL_ID = "weir-schema"

_settings = MigrationsSettings()
_log = logger("migrations", _settings.log_level)


def handle(event: dict[str, Any], context: LambdaContext) -> None:
    """Answer one request."""
    request = Request.model_validate(event)
    try:
        # A stack that goes leaves the data, and the schema with it.
        applied = [] if request.kind == "Delete" else asyncio.run(_migrate())
    except Exception as error:
        _log.exception("the schema is not up to date")
        fail(request, _PHYSICAL_ID, f"{type(error).__name__}: {error}")
        return
    _log.info("the schema is up to date", extra={"applied": applied})
    succeed(request, _PHYSICAL_ID, {"Applied": ", ".join(applied)})


async def _migrate() -> list[str]:
    owner, login = await asyncio.gather(
        read_secret(_settings.owner_secret), read_secret(_settings.database_secret)
    )
    login_url = database_url(login)
    owner_url = database_url(owner, like=login_url)
    return await bring_up_to_date(owner_url, login_url, make_login_role=_settings.make_login_role)
