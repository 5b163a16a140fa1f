"""/v1/limits, for admins: what all keys of the tenant may use together."""

from fastapi import APIRouter

from api.caller import WithAdmin, WithServices
from api.schemas.limits import LimitFields, TenantLimitsObject, tenant_limits_object
from shared.limits.tenants import get_tenant_limits, set_tenant_limits

router = APIRouter(prefix="/limits")


@router.get("")
async def retrieve(services: WithServices, caller: WithAdmin) -> TenantLimitsObject:
    """The tenant's limits."""
    async with services.database.tenant(caller.tenant_id) as connection:
        return tenant_limits_object(await get_tenant_limits(connection))


@router.post("")
async def update(body: LimitFields, services: WithServices, caller: WithAdmin) -> TenantLimitsObject:
    """Change those limits that are sent; null takes one away. In force everywhere within seconds."""
    async with services.database.tenant(caller.tenant_id) as connection:
        limits = body.applied_to(await get_tenant_limits(connection))
        await set_tenant_limits(connection, limits)
    services.keyring.forget_tenant(caller.tenant_id)
    return tenant_limits_object(limits)
