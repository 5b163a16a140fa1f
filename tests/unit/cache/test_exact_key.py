"""The exact key: equal for the same JSON value, different for any other."""

import random
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.cache.exact_key import TRANSPORT_FIELDS, exact_key

_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**30), max_value=10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
_fields = st.sampled_from(["messages", "temperature", "tools", "enable_thinking", "x"]) | st.text(max_size=8)
_bodies = st.dictionaries(_fields.filter(lambda name: name not in TRANSPORT_FIELDS), _values, max_size=6)

_BODY = {
    "model": "alias",
    "messages": [{"role": "user", "content": "Hello"}],
    "temperature": 0.5,
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"minimum": 1}}}],
}


def _key(body: dict[str, Any]) -> str:
    return exact_key(body, tenant_id="tenant", model="model")


def _shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict):
        names = list(value)
        chance.shuffle(names)
        return {name: _shuffled(value[name], chance) for name in names}
    if isinstance(value, list):
        return [_shuffled(inner, chance) for inner in value]
    return value


def _respelled(value: Any) -> Any:
    """Whole numbers of the other kind: ints as floats where exact, floats as ints."""
    if isinstance(value, dict):
        return {name: _respelled(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_respelled(inner) for inner in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if type(value) is int and abs(value) < 2**53:
        return float(value)
    return value


def _same(one: Any, other: Any) -> bool:
    """Equality of JSON values: as Python's, but `True` is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    numbers = type(one) in (int, float) and type(other) in (int, float)
    return (numbers or type(one) is type(other)) and bool(one == other)


def _without_nulls(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}


@given(_bodies, st.randoms(use_true_random=False))
def test_the_order_of_fields_is_ignored(body: dict[str, Any], chance: random.Random) -> None:
    assert _key(_shuffled(body, chance)) == _key(body)


@given(_bodies)
def test_numbers_count_by_value(body: dict[str, Any]) -> None:
    assert _key(_respelled(body)) == _key(body)


@given(_bodies, _bodies)
def test_different_bodies_never_share_a_key(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (_key(one) == _key(other)) == _same(_without_nulls(one), _without_nulls(other))


@given(_bodies, _fields, _values, _values)
def test_any_change_of_any_field_changes_the_key(
    body: dict[str, Any], name: str, before: Any, after: Any
) -> None:
    assume(name not in TRANSPORT_FIELDS and not _same(before, after))
    one, other = {**body, name: before}, {**body, name: after}
    assert _key(one) != _key(other)
    assert _key({"messages": [one]}) != _key({"messages": [other]})


@given(_bodies, st.sampled_from(sorted(TRANSPORT_FIELDS)), _values)
def test_transport_fields_are_ignored_at_the_top_alone(body: dict[str, Any], name: str, value: Any) -> None:
    assert _key({**body, name: value}) == _key(body)
    assert _key({"messages": [{**body, name: value}]}) != _key({"messages": [body]})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (True, 1),
        (False, 0),
        (False, None),
        ("1", 1),
        ([], {}),
        ("", []),
        ([[]], [[], []]),
        ("a", ["a"]),
        (["a", "b"], ["b", "a"]),
        ({"a": None}, {}),
        (2**64, 2**64 + 1),
        (2**53, 2**53 + 1),
        ("e\u0301", "\u00e9"),
        ("tagged:", "tagged"),
    ],
)
def test_look_alikes_differ(one: Any, other: Any) -> None:
    for depth in range(3):
        assert _key({"x": one}) != _key({"x": other}), depth
        one, other = [one], {"y": other} if depth else [other]


@pytest.mark.parametrize("spelling", ["0", "0.0", "-0.0", "-0", "0e5"])
def test_spellings_of_zero_are_one(spelling: str) -> None:
    assert _key(orjson.loads(f'{{"temperature": {spelling}}}')) == _key({"temperature": 0})


def test_spellings_of_a_thousand_are_one() -> None:
    for spelling in ("1000", "1e3", "1000.0", "10E2"):
        assert _key(orjson.loads(f'{{"x": [{spelling}]}}')) == _key({"x": [1000]})
    assert _key({"x": 1e30}) == _key({"x": int(1e30)})


def test_null_is_absent_at_the_top_alone() -> None:
    assert _key({**_BODY, "stop": None}) == _key(_BODY)
    assert _key({"x": {"stop": None}}) != _key({"x": {}})


def test_tenant_and_model_are_part_of_it() -> None:
    keys = {
        exact_key(_BODY, tenant_id=tenant, model=model)
        for tenant in ("a", "b", "a,b")
        for model in ("m", "n", "b,m")
    }
    assert len(keys) == 9
    assert exact_key({**_BODY, "model": "other"}, tenant_id="a", model="m") == exact_key(
        _BODY, tenant_id="a", model="m"
    )


@pytest.mark.parametrize("depth", [100, 199, 200, 201, 253, 254, 255, 1000])
@pytest.mark.parametrize("kind", ["[%s]", '{"a":%s}'])
def test_deep_bodies_have_keys_that_differ(depth: int, kind: str) -> None:
    def nested(inner: str) -> dict[str, Any]:
        for _ in range(depth):
            inner = kind % inner
        return {"x": orjson.loads(inner)}

    assert _key(nested("1")) == _key(nested("1.0"))
    assert len({_key(nested(inner)) for inner in ("1", "true", "2", "[1]", '"1"', "null")}) == 6


def test_text_that_is_no_unicode_has_a_key() -> None:
    assert _key({"x": "\ud800"}) != _key({"x": "\ud801"})


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError, match="set is no JSON value"):
        _key({"x": set()})
