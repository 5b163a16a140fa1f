"""Sends frames to WebSocket clients through API Gateway's management API.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html.
boto3's client takes a thread and some milliseconds a call; a turn makes up to 25 calls a second, so only its
signing is used.
"""

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import quote

import aiohttp
from yarl import URL

from shared.aws.clients import session

if TYPE_CHECKING:
    from botocore.auth import SigV4Auth

_TIMEOUT = aiohttp.ClientTimeout(total=10)

# Seconds before a frame that API Gateway was too busy for is sent again.
_PAUSES = (0.1, 0.3, 1.0)

_GONE = 410


class ConnectionGoneError(Exception):
    """The client has closed the connection."""


class ManagementApiError(Exception):
    """A frame was not taken, and that the client has gone is not why."""


class ManagementApi:
    """The connections of one WebSocket API."""

    def __init__(self, url: str) -> None:
        """`url`: of the API's stage, without `/@connections`."""
        self._url = url.rstrip("/")
        self._http = aiohttp.ClientSession(timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar())

    async def post(self, connection_id: str, frame: bytes) -> None:
        """Send one frame; returns when API Gateway has taken it, so that frames keep their order.

        Raises:
            ConnectionGoneError: Nobody is there.
            ManagementApiError: API Gateway does not take it.
        """
        for pause in (*_PAUSES, None):
            status = await self._post(connection_id, frame)
            if status < 300:
                return
            if status == _GONE:
                raise ConnectionGoneError(connection_id)
            if pause is None or not (status == 429 or status >= 500):
                raise ManagementApiError(f"A frame was not taken: status {status}.")
            await asyncio.sleep(pause)

    async def close(self) -> None:
        """Close the connections to API Gateway."""
        await self._http.close()

    async def _post(self, connection_id: str, frame: bytes) -> int:
        # A connection's id may end in `=`, which must be escaped twice over for the signature to be right.
        url = f"{self._url}/@connections/{quote(connection_id, safe='')}"
        headers = _signed(url, frame)
        try:
            async with self._http.post(URL(url, encoded=True), data=frame, headers=headers) as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ManagementApiError("API Gateway cannot be reached.") from error


def _signed(url: str, frame: bytes) -> dict[str, str]:
    from botocore.awsrequest import AWSRequest

    request = AWSRequest(method="POST", url=url, data=frame)
    _signer().add_auth(request)
    return dict(request.headers)


def _signer() -> "SigV4Auth":
    from botocore.auth import SigV4Auth

    credentials = session().get_credentials()
    if credentials is None:
        raise ManagementApiError("There are no AWS credentials to sign with.")
    return SigV4Auth(credentials.get_frozen_credentials(), "execute-api", session().region_name)
