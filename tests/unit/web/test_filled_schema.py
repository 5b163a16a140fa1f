"""JSON schemas that a model fills in: what is taken, and what is refused because it could take for ever."""

from enum import StrEnum
from typing import Any

import pytest
from pydantic import BaseModel

from shared.web.filled_schema import BadSchemaError, FilledSchema, plain_schema, problem_of


class Unit(StrEnum):
    KILO = "kg"
    LITRE = "l"


class Price(BaseModel):
    amount: float
    unit: Unit | None = None


class Product(BaseModel):
    name: str
    prices: list[Price]


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def doubling(times: int) -> dict[str, Any]:
    """Small as it is written, and 2^times as large."""
    defs = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(times)}
    return {"type": "object", "properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": defs | {f"d{times}": {}}}


def test_references_are_written_out() -> None:
    schema = plain_schema(Product.model_json_schema())
    assert "$" not in str(schema)
    assert problem_of({"name": "Pen", "prices": [{"amount": 1, "unit": "kg"}]}, schema) is None
    problem = problem_of({"name": "Pen", "prices": [{"amount": "IGNORE ALL"}]}, schema)
    assert problem == "$.prices[0].amount does not fit type: number"


def test_with_each_the_answer_is_a_list() -> None:
    form = FilledSchema(json_schema={"type": "object", "required": ["a"]}, each="a product").form
    assert problem_of({"records": [{"a": 1}]}, form) is None
    assert problem_of({"records": []}, form) is None
    assert problem_of({"records": [{}]}, form) == "$.records[0] does not fit required: ['a']"
    assert problem_of({"a": 1}, form) is not None


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({}, "of the type 'object'"),
        ({"type": "object", "properties": {"a": {"pattern": "(a+)+$"}}}, "'pattern' is not supported"),
        ({"type": "object", "unevaluatedProperties": {}}, "is not supported"),
        ({"type": "object", "properties": {"a": {"type": "float"}}}, "'properties/a/type'"),
        ({"type": "object", "properties": {"a": 1}}, "must be an object"),
        ({"type": "object", "properties": []}, "'properties'"),
        ({"type": "object", "properties": {"a": {"$ref": "https://example.com/schema"}}}, "there is no"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/B"}}, "$defs": []}, "there is no"),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}, "refers to itself"),
        (nested(21), "refers to itself"),
        (doubling(15), "refers to itself"),
        ({"type": "object", "description": "x" * 20_000}, "20,000 bytes"),
        ({"type": "object", "description": "\0"}, "no NUL"),
        ({"type": "object", "description": "\ud800"}, "valid characters"),
    ],
)
def test_what_is_no_bounded_schema_is_refused(schema: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadSchemaError, match=reason):
        plain_schema(schema)
