"""The rest of an answer whose upstream broke off."""

from shared.completion.blank import BlankAnswer
from shared.completion.compose import Composed
from shared.completion.deliver import PATH
from shared.completion.services import Services
from shared.providers.catalog import Deployment
from shared.providers.failures import UpstreamFailure
from shared.providers.prefix import Said, continuation_body
from shared.routing.answers import Streaming


async def rest_of_answer(
    services: Services, composed: Composed, deployment: Deployment, failure: UpstreamFailure, said: Said
) -> Streaming:
    """What is lacking of an answer of which `said` is there; of a blank one all.

    Raises:
        UpstreamFailure: It cannot be had; `failure`, if nobody was asked.
    """
    if isinstance(failure, BlankAnswer):
        return await _asked_again(services, composed, failure)
    return await _continued(services, composed, deployment, failure, said)


async def _continued(
    services: Services, composed: Composed, deployment: Deployment, failure: UpstreamFailure, said: Said
) -> Streaming:
    """The rest, from the provider that broke off, where it can take up what it began."""
    admitted = composed.admitted
    body = continuation_body(composed.body, said)
    if body is None or deployment.provider.prefix_base_url is None:
        raise failure
    return await services.router.resume(
        deployment, body, tenant_id=admitted.call.caller.tenant_id, deadline=admitted.deadline
    )


async def _asked_again(services: Services, composed: Composed, failure: UpstreamFailure) -> Streaming:
    """Another answer, where the retry budget allows it."""
    admitted, router = composed.admitted, services.router
    if not await router.may_ask_again():
        raise failure
    return await router.stream(
        admitted.route,
        PATH,
        composed.body,
        tenant_id=admitted.call.caller.tenant_id,
        deadline=admitted.deadline,
    )
