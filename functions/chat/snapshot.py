"""Lambda SnapStart: many environments start from one snapshot, so nothing is opened before it is taken.

The web adapter asks for `RESTORED` before an environment's first request. The API has no such path, and the
adapter answers 403 to whoever asks for it all the same:
https://github.com/aws/aws-lambda-web-adapter/blob/main/docs/guide/src/features/snapstart.md
"""

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response

RESTORED = "/snapstart/restored"

router = APIRouter()


def is_for_snapshot(variables: Mapping[str, str]) -> bool:
    """Whether this process is to be part of a snapshot, by Lambda's own variable.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    return variables.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"


@router.post(RESTORED, include_in_schema=False)
async def restored(request: Request) -> Response:
    """Open what the snapshot could not hold: secrets and connections."""
    await request.app.state.open_connections()
    return Response(status_code=204)
