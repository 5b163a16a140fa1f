"""First step: may this caller ask this of this model?"""

from shared.completion.call import Admitted, Call, RequestT
from shared.completion.demand import demand_of
from shared.completion.request import ChatRequest
from shared.completion.services import Services
from shared.errors import InvalidRequestError, PermissionDeniedError
from shared.limits.limits import Demand
from shared.providers.catalog import Deployment
from shared.providers.model_rows import Ability, ChatModel
from shared.routing.route import Route, chat_route


def allowed_route(services: Services, call: Call[ChatRequest]) -> Route:
    """Who could answer a chat of this caller.

    Raises:
        PermissionDeniedError: The key does not allow the model.
        NotFoundError: No such model.
        InvalidRequestError: No deployment of the model can do what is asked.
    """
    check_allowed(call)
    return route_of(services, call.request)


async def admit(services: Services, call: Call[ChatRequest], route: Route) -> Admitted[ChatRequest]:
    """Count a chat against the limits of its caller.

    Raises:
        RateLimitError: A limit of the key, its tenant or the model is reached.
    """
    ratio = services.router.token_ratio(route.tiers[0][0])
    return await reserve(services, call, route, demand_of(call, route.deployments, prompt_ratio=ratio))


def check_allowed(call: Call[RequestT]) -> None:
    """Raises:
    PermissionDeniedError: The key does not allow the model.
    """
    model = call.request.model
    if not call.caller.may_use(model):
        raise PermissionDeniedError(
            f"This key does not allow the model {model!r}; ask its owner to add it.", param="model"
        )


async def reserve(
    services: Services, call: Call[RequestT], route: Route, demand: Demand
) -> Admitted[RequestT]:
    """Take room for a call that may use so much on its route.

    Raises:
        RateLimitError: A limit of the key, its tenant or the model is reached.
    """
    row = route.tiers[0][0].model
    reservation = await services.limiter.reserve(
        call.caller, call.request_id, row.name, row.limits, demand, call.started
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
