"""JSON and JSON Lines: records as readable rows, objects as sections."""

import json
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from typing import Any, Final

from shared.documents.charset import decode
from shared.documents.cleaning import clean, clean_line
from shared.documents.document import Content, Limits, Part, invalid

# Sections nest no deeper than this; what lies deeper is named by its path ("address.city").
_SECTIONS: Final = 3
# Text that is longer, or has several lines, stands on lines of its own.
_SHORT: Final = 200


def read_json(data: bytes, media_type: str | None) -> Content:
    """Read a JSON file. An array is a row for each of its elements, counted from 1, as "name: Ada; city:
    London"; an object is a section for each array or object in it, and one paragraph of the rest.

    Raises `invalid_file` for what is no JSON, or nested too deeply.
    """
    value = _load(decode(data, media_type=media_type), "The JSON")
    try:
        return Content(parts=list(_value(value, level=1)), title=_title(value))
    except RecursionError as error:
        raise invalid("The JSON is nested too deeply.") from error


def read_json_lines(data: bytes, media_type: str | None, limits: Limits) -> Content:
    """Read JSON Lines: a row for each line, by its number in the file."""
    text = decode(data, media_type=media_type)
    return Content(parts=_lines(text, limits, first=1))


def read_json_lines_part(data: bytes, encoding: str, limits: Limits, *, first: int) -> Content:
    """Read lines from the middle of a file; `first` is the number of the first, from 1."""
    text = data.decode(encoding, errors="replace").removeprefix("\ufeff")
    return Content(parts=_lines(text, limits, first=first))


def _lines(text: str, limits: Limits, *, first: int) -> Iterator[Part]:
    # Only "\n" ends a record: a string may hold other line breaks as they are.
    for number, line in enumerate(StringIO(text, newline="\n"), first):
        if number - first >= limits.rows:
            raise invalid(f"The file has more than {limits.rows:,} lines. Split it and upload the pieces.")
        if line.strip():
            yield _row(_load(line, f"Line {number:,}"), number)


def _load(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise invalid(f"{what} is nested too deeply.") from error
    except ValueError as error:  # also a number with more digits than Python reads
        place = (
            f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        )
        raise invalid(f"{what} is not valid JSON{place}.") from error


def _value(value: Any, *, level: int) -> Iterator[Part]:
    match value:
        case Mapping():
            yield from _object(value, level)
        case [*elements] if any(isinstance(element, Mapping | list) for element in elements):
            yield from (_row(element, number) for number, element in enumerate(elements, 1))
        case [*elements]:
            yield Part(kind="list", text="\n".join(f"- {_scalar(element)}" for element in elements))
        case _:
            yield Part(kind="paragraph", text=_scalar(value))


def _object(value: Mapping[str, Any], level: int) -> Iterator[Part]:
    nested = {} if level > _SECTIONS else {key: inner for key, inner in value.items() if _is_filled(inner)}
    own = {key: inner for key, inner in value.items() if key not in nested}
    yield Part(kind="paragraph", text=_fields(own))
    for key, inner in nested.items():
        words = clean_line(key)
        if words:
            yield Part(kind="heading", text=f"{'#' * level} {words}", level=level)
        yield from _value(inner, level=level + 1)


def _is_filled(value: Any) -> bool:
    return isinstance(value, Mapping | list) and bool(value)


def _row(value: Any, number: int) -> Part:
    return Part(kind="paragraph", text=_fields(value) if _is_filled(value) else _scalar(value), row=number)


def _fields(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """Names and values on one line, or on lines of their own if one of them is long."""
    fields = [(name, text) for name, text in _flat(value, "") if text]
    long = any(len(text) > _SHORT or "\n" in text for _, text in fields)
    return ("\n" if long else "; ").join(f"{name}: {text}" if name else text for name, text in fields)


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    match value:
        case Mapping():
            for key, inner in value.items():
                yield from _flat(inner, f"{path}.{clean_line(key)}" if path else clean_line(key))
        case [*elements] if any(isinstance(element, Mapping | list) for element in elements):
            for number, inner in enumerate(elements, 1):
                yield from _flat(inner, f"{path} {number}".strip())
        case [*elements]:
            yield path, ", ".join(filter(None, map(_scalar, elements)))
        case _:
            yield path, _scalar(value)


def _scalar(value: Any) -> str:
    """`null` and empty containers are nothing; numbers and booleans stay as JSON writes them."""
    if value is None or value in ([], {}):
        return ""
    return clean(value).strip() if isinstance(value, str) else json.dumps(value)


def _title(value: Any) -> str | None:
    title = value.get("title") or value.get("name") if isinstance(value, Mapping) else None
    return clean_line(title) or None if isinstance(title, str) else None
