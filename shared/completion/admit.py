"""First step: may this caller ask this of this model?"""

from collections.abc import Callable

from shared.completion.call import Admitted, Call, RequestT
from shared.completion.demand import demand_of
from shared.completion.request import ChatRequest
from shared.completion.services import Services
from shared.errors import InvalidRequestError, PermissionDeniedError
from shared.limits.limits import Demand
from shared.providers.catalog import Ability, ChatModel, Deployment
from shared.routing.route import Route, chat_route


async def admit(services: Services, call: Call[ChatRequest]) -> Admitted[ChatRequest]:
    """Find who could answer a chat, and count the request against the caller's limits.

    Raises:
        PermissionDeniedError: The key does not allow the model.
        NotFoundError: No such model.
        InvalidRequestError: No deployment of the model can do what is asked.
        RateLimitError: A limit of the key is reached.
    """
    return await admit_to(
        services,
        call,
        lambda: route_of(services, call.request),
        lambda route: demand_of(
            call, route.deployments, prompt_ratio=services.router.token_ratio(route.tiers[0][0])
        ),
    )


async def admit_to(
    services: Services,
    call: Call[RequestT],
    find: Callable[[], Route],
    demand: Callable[[Route], Demand],
) -> Admitted[RequestT]:
    """What all admissions share.

    Args:
        services: What the completion works with.
        call: The call.
        find: Gives the route, once the model is known to be allowed.
        demand: What the call may use on it.

    Raises:
        PermissionDeniedError: The key does not allow the model.
        RateLimitError: A limit of the key, its tenant or the model is reached.
    """
    model = call.request.model
    if not call.caller.may_use(model):
        raise PermissionDeniedError(
            f"This key does not allow the model {model!r}; ask its owner to add it.", param="model"
        )
    route = find()
    row = route.tiers[0][0].model
    reservation = await services.limiter.reserve(
        call.caller, call.request_id, row.name, row.limits, demand(route), call.started
    )
    deadline = call.started_monotonic + services.router.patience.request_seconds
    return Admitted(call=call, route=route, reservation=reservation, deadline=deadline)


def route_of(services: Services, request: ChatRequest) -> Route:
    """Who could answer a chat.

    Raises:
        NotFoundError: No such model.
        InvalidRequestError: No deployment of the model can do what is asked.
    """
    route = chat_route(services.models, request.model, request.weir.fallback)
    needed = _needed_abilities(request)
    able = route.where(lambda deployment: needed.keys() <= _abilities(deployment))
    if not able.tiers:
        lacking = next(ability for ability in needed if ability not in _abilities(route.tiers[0][0]))
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
