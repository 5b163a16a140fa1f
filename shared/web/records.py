"""Structured records from a page, by the selectors of its scrape."""

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lxml.html import HtmlElement

    from shared.web.record_schema import RecordSchema, Selector

Value = str | list[str] | None
# Of strings and lists of them by selectors; of whatever its JSON schema says where a model filled it in.
Record = dict[str, Any]

# A page beyond these is cut: records are kept in a row of the database.
RECORD_LIMIT = 1_000
_VALUES = 100
_VALUE_LENGTH = 10_000
_TOTAL_LENGTH = 1_000_000


class BadSelectorError(Exception):
    """A selector that is none; the message names it."""


def read_records(html: str, schema: "RecordSchema", *, url: str) -> tuple[Record, ...]:
    """The records of a page, in its order. Records of which no field was found are left out.

    Links and images in attributes are made absolute.

    Raises:
        BadSelectorError: A selector of the schema cannot be read.
    """
    from lxml import html as parser

    if not html.strip():
        return ()
    tree: HtmlElement = parser.document_fromstring(html.encode(), parser=parser.HTMLParser(encoding="utf-8"))
    tree.make_links_absolute(url, resolve_base_href=True, handle_failures="ignore")
    records: list[Record] = []
    length = 0
    for element in _elements(tree, schema):
        record: dict[str, Value] = {
            name: _value(element, selector) for name, selector in schema.fields.items()
        }
        length += sum(len(part) for value in record.values() for part in (value or ()))
        if length > _TOTAL_LENGTH or len(records) == RECORD_LIMIT:
            break
        if any(record.values()):
            records.append(record)
    return tuple(records)


@lru_cache(maxsize=500)
def _compiled(css: str | None, xpath: str | None) -> Any:
    from cssselect import HTMLTranslator, SelectorError
    from lxml import etree

    try:
        expression = HTMLTranslator().css_to_xpath(css) if css is not None else xpath
        # Without the functions of EXSLT, among which are regular expressions that take for ever.
        return etree.XPath(expression or "", regexp=False)
    except (SelectorError, etree.XPathSyntaxError) as error:
        raise BadSelectorError(f"The selector {css or xpath!r} cannot be read: {error}.") from None


def _elements(tree: Any, schema: "RecordSchema") -> Iterator[Any]:
    if schema.each is None:
        yield tree
        return
    for found in _found(tree, schema.each):
        if hasattr(found, "text_content"):
            yield found


def _value(element: Any, selector: "Selector") -> Value:
    texts = (text for found in _found(element, selector) if (text := _text(found, selector.attribute)))
    if selector.all:
        return [text for text, _ in zip(texts, range(_VALUES), strict=False)]
    return next(texts, None)


def _found(element: Any, selector: "Selector") -> list[Any]:
    from lxml import etree

    try:
        result = _compiled(selector.css, selector.xpath)(element)
    except etree.XPathError:
        # Such as a function that is not there, which is only known now.
        return []
    return result if isinstance(result, list) else [str(result)]


def _text(found: Any, attribute: str | None) -> str:
    if not hasattr(found, "text_content"):
        text = str(found)
    elif attribute is not None:
        text = found.get(attribute) or ""
    elif isinstance(found.tag, str):
        text = found.text_content()
    else:
        return ""
    return "".join(c for c in " ".join(text.split()) if c != "\x00")[:_VALUE_LENGTH]
