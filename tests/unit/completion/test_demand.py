"""What is held before a call is never less than what the call can cost."""

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.completion.call import Call
from shared.completion.demand import demand_of
from shared.completion.request import ChatRequest, parse_request
from shared.ledger.prices import cost_microdollars
from shared.limits.caller import Caller
from shared.limits.limits import Demand
from shared.providers.catalog import Catalog, Deployment

PEAK = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)

CATALOG = Catalog.from_toml(
    """
    [[providers]]
    name = "p"
    base_url = "http://p"
    [[providers.models]]
    kind = "chat"
    name = "m"
    context_window = 8192
    max_output_tokens = 4096
    price = { input = "3", output = "7" }
    """
)
DEPLOYMENTS = (Deployment(CATALOG.providers[0], CATALOG.providers[0].models[0]),)


def _demand(ratio: float = 1.0, **fields: Any) -> Demand:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}], **fields}
    request = parse_request(ChatRequest, body)
    call = Call(
        request_id="req_1",
        endpoint="/v1/chat/completions",
        caller=Caller(tenant_id="t", key_id="k", role="member"),
        body=body,
        body_bytes=len(json.dumps(body)),
        request=request,
        started=PEAK,
        started_monotonic=0.0,
    )
    return demand_of(call, DEPLOYMENTS, prompt_ratio=ratio)


@given(st.text(), st.integers(min_value=1, max_value=4096), st.integers(min_value=1, max_value=4))
def test_money_held_covers_a_token_for_each_byte_and_the_longest_answers(
    text: str, most: int, n: int
) -> None:
    held = _demand(messages=[{"role": "user", "content": text}], max_tokens=most, n=n).cost_microdollars
    spent = cost_microdollars(
        DEPLOYMENTS[0].model.price,
        prompt_tokens=min(len(text.encode()), 8192),
        cached_tokens=0,
        completion_tokens=most * n,
        at=PEAK,
    )
    assert held >= spent


def test_without_a_limit_the_models_longest_answer_counts() -> None:
    assert 4096 * 7 <= _demand().cost_microdollars < 4096 * 7 + 8192 * 3


def test_tokens_are_estimated_as_the_model_counts_them() -> None:
    text = "word " * 100
    fields = {"messages": [{"role": "user", "content": text}], "max_tokens": 10}
    assert _demand(2.0, **fields).tokens - 10 == 2 * (_demand(1.0, **fields).tokens - 10)
