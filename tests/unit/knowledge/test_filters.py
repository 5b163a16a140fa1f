import pytest
from pydantic import TypeAdapter, ValidationError

from shared.knowledge.filters import AttributeFilter, Comparison, Compound, compile_filter

FILTER: TypeAdapter[AttributeFilter] = TypeAdapter(AttributeFilter)


def nested(levels: int) -> dict[str, object]:
    made: dict[str, object] = {"type": "eq", "key": "a", "value": 1}
    for _ in range(levels):
        made = {"type": "and", "filters": [made]}
    return made


def test_openais_form_is_understood() -> None:
    made = FILTER.validate_python(
        {
            "type": "or",
            "filters": [
                {"type": "eq", "key": "lang", "value": "zh"},
                {"type": "and", "filters": [{"type": "gte", "key": "year", "value": 2024.5}]},
            ],
        }
    )
    assert isinstance(made, Compound)
    assert made.filters[0] == Comparison(type="eq", key="lang", value="zh")


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "like", "key": "a", "value": "x"},
        {"type": "eq", "key": "", "value": "x"},
        {"type": "eq", "key": "a"},
        {"type": "eq", "key": "a", "value": ["x"]},
        {"type": "eq", "key": "a", "value": None},
        {"type": "eq", "key": "a", "value": float("nan")},
        {"type": "eq", "key": "a", "value": "nul\x00"},
        {"type": "in", "key": "a", "value": "x"},
        {"type": "and", "filters": []},
        {"type": "eq", "key": "a", "value": 1, "extra": 1},
        {"type": "and", "filters": [nested(0)] * 65},
        nested(9),
        nested(400),
    ],
)
def test_anything_else_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FILTER.validate_python(wrong)


def test_no_key_and_no_value_becomes_sql() -> None:
    evil = "x' OR true; DROP TABLE files; --%s{}"
    condition = compile_filter(
        FILTER.validate_python(
            {
                "type": "and",
                "filters": [
                    {"type": "gt", "key": evil, "value": evil},
                    {"type": "nin", "key": evil, "value": [evil, 1]},
                ],
            }
        )
    )
    text = condition.sql.as_string(None)
    assert "DROP" not in text
    assert evil in condition.parameters.values()
    assert {f"%({name})s" in text for name in condition.parameters} == {True}
