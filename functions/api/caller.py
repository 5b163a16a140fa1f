"""Who calls, and what the application works with, as routes ask for them."""

from typing import Annotated

from fastapi import Depends, Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.services import Services
from shared.errors import PermissionDeniedError, WeirError
from shared.http.errors import error_response
from shared.limits.caller import Caller

_CALLER = "weir.caller"


class Authentication:
    """Lets nobody without a valid key into `/v1`: no route can forget to ask, no stranger's body is read."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/v1"):
            authorization = Headers(scope=scope).get("authorization")
            try:
                caller = await self._services.keyring.authenticate(authorization, self._services.clock())
            except WeirError as error:
                await error_response(error)(scope, receive, send)
                return
            scope.setdefault("state", {})[_CALLER] = caller
        await self._app(scope, receive, send)


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _caller(request: Request) -> Caller:
    caller: Caller = request.scope["state"][_CALLER]
    return caller


def _admin(caller: Annotated[Caller, Depends(_caller)]) -> Caller:
    if caller.role != "admin":
        raise PermissionDeniedError("This takes a key with the role 'admin'; ask the owner of one.")
    return caller


WithServices = Annotated[Services, Depends(_services)]
WithCaller = Annotated[Caller, Depends(_caller)]
WithAdmin = Annotated[Caller, Depends(_admin)]
