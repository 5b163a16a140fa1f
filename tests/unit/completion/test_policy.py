"""Which cache a request uses, and how boldly."""

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.completion.call import Call
from shared.completion.policy import Caching, caching_of
from shared.completion.request import ChatRequest, parse_request
from shared.errors import InvalidRequestError
from shared.limits.caller import Caller
from shared.limits.limits import ANY_CACHE, CachePolicy

DEFAULT = Caching(mode="exact", ttl_seconds=60, error_bound=0.1)


def caching(cache: dict[str, Any], key: CachePolicy = ANY_CACHE) -> Caching:
    messages = [{"role": "user", "content": "Hello"}]
    body = {"model": "m", "messages": messages, "weir": {"cache": cache}}
    call = Call(
        request_id="req_1",
        endpoint="/v1/chat/completions",
        caller=Caller(tenant_id="t", key_id="k", role="member", cache=key),
        body=body,
        body_bytes=0,
        request=parse_request(ChatRequest, body),
        started=datetime(2026, 11, 24, tzinfo=UTC),
        started_monotonic=0.0,
    )
    return caching_of(call, DEFAULT)


def test_the_request_decides_before_its_key_and_the_settings() -> None:
    key = CachePolicy(mode="semantic", ttl_seconds=30)
    assert caching({}) == DEFAULT
    assert caching({}, key) == Caching(mode="semantic", ttl_seconds=30, error_bound=0.1)
    asked = {"mode": "off", "ttl": 5, "error_bound": 0.05}
    assert caching(asked, key) == Caching(mode="off", ttl_seconds=5, error_bound=0.05)


@pytest.mark.parametrize("bound", [0, -0.1, 0.51, 1, "many", True, float("nan")])
def test_an_error_bound_that_makes_no_sense_is_refused(bound: object) -> None:
    with pytest.raises(InvalidRequestError, match=r"weir\.cache\.error_bound"):
        caching({"error_bound": bound})


def test_half_of_the_answers_is_the_most_that_may_be_wrong() -> None:
    assert caching({"error_bound": 0.5}).error_bound == 0.5
