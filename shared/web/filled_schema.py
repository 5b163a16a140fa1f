"""What a chat model fills in from a page: a JSON schema of one record, bounded and without references."""

from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

_LENGTH = 20_000
_PARTS = 1_000
_DEPTH = 20

# Where a schema has others inside.
_ONE = frozenset(("items", "additionalProperties"))
_LIST = frozenset(("anyOf", "oneOf", "allOf", "prefixItems"))

# What is told of values and asked of them. No patterns, because some take for ever on some texts.
# fmt: off
_PLAIN = frozenset((
    "title", "description", "default", "examples", "format", "type", "enum", "const", "required",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
    "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties",
))
# fmt: on
_KNOWN = _ONE | _LIST | _PLAIN | {"properties"}

# What programs put into schemas, and what is known without.
_IGNORED = frozenset(("$schema", "$id", "$defs", "definitions", "discriminator"))
_REFERENCES = ("#/$defs/", "#/definitions/")


Words = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]


class BadSchemaError(Exception):
    """It is no JSON schema, or one that asks for too much; the message says what."""


class FilledSchema(BaseModel):
    """Records that a chat model fills in, each as `json_schema` has it.

    `each` says in words what a record is ("a product in the list"); without it a page is one record.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    json_schema: dict[str, Any]
    each: Words | None = None
    model: Words | None = None

    @property
    def form(self) -> dict[str, Any]:
        """The schema of an answer: a record, or an object with a list of `records`."""
        if self.each is None:
            return self.json_schema
        return {
            "type": "object",
            "properties": {"records": {"type": "array", "items": self.json_schema}},
            "required": ["records"],
            "additionalProperties": False,
        }


def plain_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The same schema with what it refers to in the places of the references (JSON Schema, 2020-12).

    Raises:
        BadSchemaError: It is no schema of an object, refers to itself, is too large, or has a keyword that is
            not known here.
    """
    plain = _Expansion(schema).expand(schema, 0)
    if plain.get("type") != "object":
        raise BadSchemaError("it must be of the type 'object': one record")
    _check_size(plain)
    validator = _validator()
    for error in validator(validator.META_SCHEMA).iter_errors(plain):
        place = "/".join(map(str, error.absolute_path))
        raise BadSchemaError(f"at {place!r}: {error.message[:200]}")
    return plain


def problem_of(value: object, form: Mapping[str, Any]) -> str | None:
    """The first thing in which a value is not as `form` has it, by its place; the value is not repeated."""
    for error in _validator()(form).iter_errors(value):
        asked = f"{error.validator}: {error.validator_value}"
        return f"{error.json_path[:200]} does not fit {asked[:200]}"
    return None


def _validator() -> Any:
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

    return Draft202012Validator


def _check_size(schema: dict[str, Any]) -> None:
    try:
        written = orjson.dumps(schema)
    except TypeError:
        raise BadSchemaError("its values are nested too deeply, or not of valid characters") from None
    if len(written) > _LENGTH or b"\\u0000" in written:
        raise BadSchemaError(f"it may have {_LENGTH:,} bytes, and no NUL")


class _Expansion:
    """Copies a schema part by part; of a bounded number of parts, so that an answer is checked in no time."""

    def __init__(self, whole: Mapping[str, Any]) -> None:
        self._whole = whole
        self._left = _PARTS

    def expand(self, part: Any, depth: int) -> dict[str, Any]:
        self._left -= 1
        if self._left < 0 or depth > _DEPTH:
            raise BadSchemaError(
                f"it refers to itself, has over {_PARTS:,} parts, or more than {_DEPTH} in each other"
            )
        if not isinstance(part, Mapping):
            raise BadSchemaError("each of its parts must be an object")
        if "$ref" in part:
            beside = {name: value for name, value in part.items() if name != "$ref"}
            return self.expand({**self._referred(part["$ref"]), **beside}, depth + 1)
        return {
            name: self._value(name, value, depth + 1) for name, value in part.items() if name not in _IGNORED
        }

    def _value(self, name: str, value: Any, depth: int) -> Any:
        if name not in _KNOWN:
            raise BadSchemaError(f"the keyword {name[:50]!r} is not supported")
        if name == "properties" and isinstance(value, Mapping):
            return {key: self.expand(inner, depth) for key, inner in value.items()}
        if name in _ONE and not isinstance(value, bool):
            return self.expand(value, depth)
        if name in _LIST and isinstance(value, list):
            return [self.expand(inner, depth) for inner in value]
        return value

    def _referred(self, reference: Any) -> Mapping[str, Any]:
        for prefix in _REFERENCES:
            if isinstance(reference, str) and reference.startswith(prefix):
                named = self._whole.get(prefix[2:-1])
                found = named.get(reference.removeprefix(prefix)) if isinstance(named, Mapping) else None
                if isinstance(found, Mapping):
                    return found
        raise BadSchemaError(f"there is no {str(reference)[:100]!r} among its $defs")
