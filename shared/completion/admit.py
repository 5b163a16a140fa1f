"""First step: may this caller ask this of this model?"""

from collections.abc import Callable

from shared.completion.call import Admitted, Call, RequestT
from shared.completion.request import ChatRequest
from shared.completion.services import Services
from shared.errors import InvalidRequestError, PermissionDeniedError
from shared.providers.catalog import Ability, ChatModel, Deployment

Deployments = tuple[Deployment, ...]


async def admit(services: Services, call: Call[ChatRequest]) -> Admitted[ChatRequest]:
    """Find who could answer a chat, and count the request against the caller's limits.

    Raises:
        PermissionDeniedError: The key does not allow the model.
        NotFoundError: No such model.
        InvalidRequestError: No deployment of the model can do what is asked.
        RateLimitError: A limit of the key is reached.
    """
    return await admit_to(
        services, call, lambda: _able(services.models.chat(call.request.model), call.request)
    )


async def admit_to(
    services: Services, call: Call[RequestT], find: Callable[[], Deployments]
) -> Admitted[RequestT]:
    """What all admissions share; `find` gives the deployments, once the model is known to be allowed.

    Raises:
        PermissionDeniedError: The key does not allow the model.
        RateLimitError: A limit of the key is reached.
    """
    model = call.request.model
    if not call.caller.may_use(model):
        raise PermissionDeniedError(
            f"This key does not allow the model {model!r}; ask its owner to add it.", param="model"
        )
    deployments = find()
    estimate = call.request.estimated_tokens
    allowance = await services.limiter.take(call.caller, estimate)
    return Admitted(call=call, deployments=deployments, estimated_tokens=estimate, allowance=allowance)


def _able(deployments: Deployments, request: ChatRequest) -> Deployments:
    needed = _needed_abilities(request)
    able = tuple(d for d in deployments if needed.keys() <= _abilities(d))
    if not able:
        lacking = next(ability for ability in needed if ability not in _abilities(deployments[0]))
        raise InvalidRequestError(
            f"The model {request.model!r} does not support {lacking!r}; choose another or leave it out.",
            code="unsupported_feature",
            param=needed[lacking],
        )
    return able


def _needed_abilities(request: ChatRequest) -> dict[Ability, str]:
    """Abilities the request asks for, each with the field that asks."""
    needed: dict[Ability, str] = {}
    if any(message.images for message in request.messages):
        needed["vision"] = "messages"
    if request.tools:
        needed["tools"] = "tools"
    match request.response_format.type if request.response_format else "text":
        case "json_object":
            needed["json_object"] = "response_format"
        case "json_schema":
            needed["json_schema"] = "response_format"
    return needed


def _abilities(deployment: Deployment) -> frozenset[Ability]:
    return deployment.model.abilities if isinstance(deployment.model, ChatModel) else frozenset()
