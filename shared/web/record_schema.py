"""What a user wants of each page as a record: named fields, each by a CSS selector or an XPath expression."""

import re
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_LENGTH = 500
_FIELDS = 50

# What makes an expression take more than a few passes over a page: a search within a search, or over all that
# comes before or after each node.
_NESTED_SEARCH = re.compile(r"\[[^\]]*(//|descendant|ancestor)")
_WIDE_AXES = re.compile(r"\b(following|preceding)\s*::")
_STEPS = 12

Expression = Annotated[str, Field(min_length=1, max_length=_LENGTH)]
FieldName = Annotated[str, Field(min_length=1, max_length=64)]


class Selector(BaseModel):
    """One of `css` and `xpath`. `attribute` takes that instead of an element's text; `all`, every match."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    css: Expression | None = None
    xpath: Expression | None = None
    attribute: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    all: bool = False

    @field_validator("css", "xpath")
    @classmethod
    def _bounded(cls, expression: str | None) -> str | None:
        if expression is None:
            return None
        if _WIDE_AXES.search(expression) or _NESTED_SEARCH.search(expression):
            raise ValueError("no search inside [...] and no axis over all that comes before or after")
        steps = len(re.findall(r"//|\s|>|\+|~|descendant", expression))
        if steps > _STEPS:
            raise ValueError(f"at most {_STEPS} steps")
        return expression

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.css is None) == (self.xpath is None):
            raise ValueError("give 'css' or 'xpath', one of them")
        return self


class RecordSchema(BaseModel):
    """`each` finds the elements that are a record each; without it a page is one record."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    each: Selector | None = None
    fields: Annotated[dict[FieldName, Selector], Field(min_length=1, max_length=_FIELDS)]
