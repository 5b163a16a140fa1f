"""Which scopes count, and where."""

from datetime import UTC, datetime

from shared.limits.caller import Caller
from shared.limits.limits import UNLIMITED, Limits
from shared.limits.periods import periods_of
from shared.limits.scopes import Scope, limited_scopes, scope_keys

SOME = Limits(requests_per_minute=1)
PERIODS = periods_of(datetime(2026, 11, 24, tzinfo=UTC))


def caller(key: Limits = UNLIMITED, tenant: Limits = UNLIMITED) -> Caller:
    return Caller(tenant_id="t", key_id="k", role="member", limits=key, tenant_limits=tenant)


def test_a_scope_without_limits_is_left_out() -> None:
    assert limited_scopes(caller(), "m", UNLIMITED) == ()
    assert [s.kind for s in limited_scopes(caller(SOME, SOME), "m", SOME)] == ["key", "tenant", "model"]
    assert [s.kind for s in limited_scopes(caller(tenant=SOME), "m", UNLIMITED)] == ["tenant"]


def test_a_budget_of_nothing_is_a_limit() -> None:
    assert Limits(budget_per_day=0).limited
    assert not UNLIMITED.limited


def test_keys_share_one_hash_tag_and_are_not_mistaken() -> None:
    names = ["m", "open:m", "m:open", "spent:2026-11:m", "m} {x"]
    keys = [
        key
        for scope in [*(Scope("model", name, SOME) for name in names), Scope("key", "m", SOME)]
        for key in scope_keys("tenant", scope, PERIODS.day, PERIODS.month)
    ]
    assert all(key.startswith("limits:{tenant}:") for key in keys)
    assert len(set(keys)) == len(keys)
