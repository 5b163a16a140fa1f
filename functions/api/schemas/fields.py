"""Types of the values that requests carry, each with its bounds."""

import re
from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator

from shared.files.ids import Prefix, is_id

# OpenAI's bounds of metadata and attributes.
_PAIRS, _KEY_LENGTH, _VALUE_LENGTH = 16, 64, 512

# The largest whole number up to which a float is exact.
_EXACT = 2**53

# PostgreSQL's text and jsonb cannot hold U+0000, and UTF-8 not half of a surrogate pair.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class RequestModel(BaseModel):
    """A request body. A field that is not known is refused, so that a slip of the pen is not passed over."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Item(BaseModel):
    """What stands in a list, which goes on by its id."""

    id: str


def _storable(value: str) -> str:
    if _UNSTORABLE.search(value):
        raise ValueError("may not contain the character U+0000 or half of a surrogate pair")
    return value


def _attribute_value(value: object) -> str | float | bool:
    match value:
        case bool():
            return value
        case str() if len(value) <= _VALUE_LENGTH:
            return _storable(value)
        case int() | float() if abs(value) <= _EXACT:
            return value
    raise ValueError(
        f"expected a string of at most {_VALUE_LENGTH} characters, a number up to 2^53 or a boolean"
    )


def _id_of(prefix: Prefix) -> AfterValidator:
    def check(value: str) -> str:
        if not is_id(prefix, value):
            raise ValueError(f"expected an id that begins with '{prefix}'")
        return value

    return AfterValidator(check)


Text = Annotated[str, AfterValidator(_storable)]
Name = Annotated[Text, Field(max_length=256)]

_Key = Annotated[Text, Field(min_length=1, max_length=_KEY_LENGTH)]
_MetadataValue = Annotated[Text, Field(max_length=_VALUE_LENGTH)]
_AttributeValue = Annotated[str | float | bool, PlainValidator(_attribute_value)]
Metadata = Annotated[dict[_Key, _MetadataValue], Field(max_length=_PAIRS)]
Attributes = Annotated[dict[_Key, _AttributeValue], Field(max_length=_PAIRS)]

# In a body or a query a malformed id is a mistake (400); in a path it is a thing that is not there (404).
FileId = Annotated[str, _id_of("file-")]
VectorStoreId = Annotated[str, _id_of("vs_")]
BatchId = Annotated[str, _id_of("batch_")]
FilePath = Annotated[str, Path(), _id_of("file-")]
VectorStorePath = Annotated[str, Path(), _id_of("vs_")]
BatchPath = Annotated[str, Path(), _id_of("vsfb_")]
BatchIdPath = Annotated[str, Path(), _id_of("batch_")]
KeyPath = Annotated[str, Path(pattern=r"^key_[A-Za-z0-9_-]{1,64}$")]
# API Gateway's id, or one that `shared.http.request_id` or the ledger made.
RequestIdPath = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
ScrapePath = Annotated[str, Path(pattern=r"^scrape_[A-Za-z0-9_-]{1,64}$")]
ScrapeId = Annotated[str, Field(pattern=r"^scrape_[A-Za-z0-9_-]{1,64}$")]
SchedulePath = Annotated[str, Path(pattern=r"^schedule_[A-Za-z0-9_-]{1,64}$")]
ScheduleId = Annotated[str, Field(pattern=r"^schedule_[A-Za-z0-9_-]{1,64}$")]
