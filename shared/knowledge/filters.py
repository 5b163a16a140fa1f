"""Attribute filters of a search, in OpenAI's form, as SQL over `vector_store_files.attributes`.

https://platform.openai.com/docs/api-reference/vector-stores/search: a comparison has `type`, `key` and
`value`; `and` and `or` hold a list of filters. OpenAI leaves open what a missing attribute means: here `ne`
and `nin` hold for it and nothing else does. `gt` to `lte` compare numbers with numbers and texts with texts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from psycopg import sql
from psycopg.types.json import Jsonb
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)

# OpenAI's bounds of attributes; PostgreSQL holds no NUL in a text.
_WITHOUT_NUL = r"^[^\x00]*$"
Key = Annotated[str, Field(min_length=1, max_length=64, pattern=_WITHOUT_NUL)]
Text = Annotated[StrictStr, Field(max_length=512, pattern=_WITHOUT_NUL)]
Scalar = StrictBool | StrictInt | Annotated[StrictFloat, Field(allow_inf_nan=False)] | Text

# A filter is a tree that a caller makes: bounded, so that it cannot cost more than a search should.
_MOST_COMPARISONS = 64
_DEEPEST = 8


class _Filter(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Comparison(_Filter):
    """One attribute beside one value."""

    type: Literal["eq", "ne", "gt", "gte", "lt", "lte"]
    key: Key
    value: Scalar


class Membership(_Filter):
    """One attribute beside a list of values."""

    type: Literal["in", "nin"]
    key: Key
    value: tuple[Scalar, ...] = Field(max_length=100)


class Compound(_Filter):
    """Several filters of which all, or any, must hold."""

    type: Literal["and", "or"]
    filters: tuple["AttributeFilter", ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if _depth(self) > _DEEPEST or _size(self) > _MOST_COMPARISONS:
            raise ValueError(f"a filter has at most {_MOST_COMPARISONS} comparisons, {_DEEPEST} levels deep")
        return self


AttributeFilter = Annotated[Comparison | Membership | Compound, Field(discriminator="type")]

_COMPARE = {"gt": sql.SQL(">"), "gte": sql.SQL(">="), "lt": sql.SQL("<"), "lte": sql.SQL("<=")}
_JOIN = {"and": sql.SQL(" AND "), "or": sql.SQL(" OR ")}


@dataclass(frozen=True)
class Condition:
    """A condition on a row `f` of `vector_store_files`, true or false and never null, and its parameters."""

    sql: sql.Composed
    parameters: Mapping[str, object]


def compile_filter(wanted: AttributeFilter) -> Condition:
    """The filter as SQL. Keys and values become parameters, named `filter_0` and so on."""
    parameters: dict[str, object] = {}

    def bind(value: object) -> sql.Placeholder:
        name = f"filter_{len(parameters)}"
        parameters[name] = value
        return sql.Placeholder(name)

    return Condition(_condition(wanted, bind), parameters)


def held_by_all(wanted: AttributeFilter) -> dict[str, Scalar]:
    """Attributes that every file which passes has: what the filter, or an `and`, says must be equal."""
    match wanted:
        case Comparison(type="eq"):
            return {wanted.key: wanted.value}
        case Compound(type="and"):
            held: dict[str, Scalar] = {}
            for part in wanted.filters:
                held |= held_by_all(part)
            return held
        case _:
            return {}


_Bind = Callable[[object], sql.Placeholder]


def _condition(wanted: AttributeFilter, bind: _Bind) -> sql.Composed:
    match wanted:
        case Comparison():
            return _comparison(wanted, bind)
        case Membership():
            return _membership(wanted, bind)
        case Compound():
            parts = [_condition(part, bind) for part in wanted.filters]
            return sql.SQL("({})").format(_JOIN[wanted.type].join(parts))


def _comparison(wanted: Comparison, bind: _Bind) -> sql.Composed:
    attribute, value = _attribute(wanted.key, bind), bind(Jsonb(wanted.value))
    match wanted.type:
        case "eq":
            return sql.SQL("({} IS NOT DISTINCT FROM {})").format(attribute, value)
        case "ne":
            return sql.SQL("({} IS DISTINCT FROM {})").format(attribute, value)
        case "gt" | "gte" | "lt" | "lte":
            # jsonb orders numbers as numbers and texts as texts, but also one type after another.
            return sql.SQL("coalesce(jsonb_typeof({0}) = jsonb_typeof({2}) AND {0} {1} {2}, false)").format(
                attribute, _COMPARE[wanted.type], value
            )


def _membership(wanted: Membership, bind: _Bind) -> sql.Composed:
    values, attribute = bind(Jsonb(list(wanted.value))), _attribute(wanted.key, bind)
    condition = sql.SQL("coalesce({} @> {}, false)").format(values, attribute)
    return condition if wanted.type == "in" else sql.SQL("(NOT {})").format(condition)


def _attribute(key: str, bind: _Bind) -> sql.Composed:
    return sql.SQL("(f.attributes -> {}::text)").format(bind(key))


def _size(wanted: "AttributeFilter") -> int:
    return sum(map(_size, wanted.filters)) if isinstance(wanted, Compound) else 1


def _depth(wanted: "AttributeFilter") -> int:
    return 1 + max(map(_depth, wanted.filters)) if isinstance(wanted, Compound) else 0
