from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.ledger.usage import Leg, UsageRecord, total_of

FIELDS: dict[str, object] = {
    "tenant_id": "acme",
    "request_id": "req_1",
    "key_id": "key_1",
    "endpoint": "chat.completions",
    "model": "deepseek-flash",
    "provider": "deepseek",
    "prompt_tokens": 12,
    "completion_tokens": 3,
    "cost_microdollars": 4,
    "cache_outcome": "miss",
    "outcome": "completed",
    "duration_ms": 250,
    "created_at": datetime(2026, 11, 23, 12, tzinfo=UTC),
}


@given(
    st.integers(min_value=0, max_value=2**63 - 1),
    st.none() | st.integers(min_value=0, max_value=2**31 - 1),
    st.datetimes(min_value=datetime(2020, 1, 1), timezones=st.timezones(), allow_imaginary=False),  # noqa: DTZ001
)
def test_a_record_survives_its_message(cost: int, first_token: int | None, created: datetime) -> None:
    fields = {"cost_microdollars": cost, "first_token_ms": first_token, "created_at": created}
    record = UsageRecord.model_validate(FIELDS | fields)
    # In UTC, because clocks that are set back make a local time equal to no other.
    at = record.created_at.astimezone(UTC)
    returned = UsageRecord.model_validate_json(record.model_dump_json())
    assert returned.created_at.astimezone(UTC) == at
    assert returned.model_copy(update={"created_at": at}) == record.model_copy(update={"created_at": at})


@pytest.mark.parametrize(
    "change",
    [
        {"tenant_id": ""},
        {"request_id": "req\x00"},
        {"prompt_tokens": -1},
        {"prompt_tokens": 2**63},
        {"duration_ms": 2**31},
        {"outcome": "unknown"},
        {"cache_outcome": "warm"},
        {"created_at": datetime(2026, 11, 23, 12)},  # noqa: DTZ001 - a naive time is the point
    ],
)
def test_what_the_ledger_cannot_hold_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        UsageRecord.model_validate(FIELDS | change)


def test_every_field_without_a_default_is_required() -> None:
    for name in FIELDS:
        with pytest.raises(ValidationError, match=name):
            UsageRecord.model_validate({key: value for key, value in FIELDS.items() if key != name})


LEG: dict[str, object] = {"provider": "deepseek", "model": "deepseek-flash", "outcome": "completed"}
TOTALS = ("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "cost_microdollars")

legs = st.builds(
    Leg,
    provider=st.just("deepseek"),
    model=st.just("deepseek-flash"),
    outcome=st.sampled_from(["completed", "cancelled", "hedged"]),
    **{name: st.integers(min_value=0, max_value=10**12) for name in TOTALS},
)


@given(st.lists(legs, min_size=1, max_size=4))
def test_a_row_is_the_sum_of_its_legs(parts: list[Leg]) -> None:
    total = total_of(parts)
    for name in TOTALS:
        assert getattr(total, name) == sum(getattr(leg, name) for leg in parts)
    record = UsageRecord.model_validate({**FIELDS, **total.model_dump(), "legs": parts})
    assert UsageRecord.model_validate_json(record.model_dump_json()) == record


@pytest.mark.parametrize("name", TOTALS)
def test_a_row_that_its_legs_do_not_add_up_to_is_refused(name: str) -> None:
    parts = (
        Leg.model_validate(LEG | {"prompt_tokens": 7, "completion_tokens": 2, "cost_microdollars": 9}),
        Leg.model_validate(LEG | {"outcome": "failed", "failure": "timeout"}),
    )
    total = total_of(parts).model_dump()
    assert UsageRecord.model_validate({**FIELDS, **total, "legs": parts}).cost_microdollars == 9
    with pytest.raises(ValidationError, match=f"'{name}' is not the sum"):
        UsageRecord.model_validate({**FIELDS, **total, name: total[name] + 1, "legs": parts})


def test_a_message_of_the_release_before_still_counts() -> None:
    record = UsageRecord.model_validate(FIELDS)
    assert (record.legs, record.saved_microdollars) == ((), 0)


@pytest.mark.parametrize("change", [{"failure": "timeout"}, {"outcome": "failed"}, {"outcome": "refused"}])
def test_a_leg_says_why_if_and_only_if_it_failed(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Leg.model_validate(LEG | change)
