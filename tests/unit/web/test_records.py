"""Records by CSS selectors and XPath expressions."""

import pytest
from pydantic import ValidationError

from shared.web.record_schema import RecordSchema
from shared.web.records import BadSelectorError, read_records

SHOP = """<html><body><h1>Shop</h1><ul>
<li class=item><b>Pen &amp; ink</b> <span class=price>3 €</span><a href="/pen">more</a>
<i>blue</i><i>red</i></li>
<li class=item><b>Paper</b><a href="paper.html">more</a></li>
<li class=item></li></ul></body></html>"""
URL = "https://example.com/shop/"


def schema(**fields: dict) -> RecordSchema:
    return RecordSchema.model_validate({"each": {"css": "li.item"}, "fields": fields})


def test_each_element_is_a_record() -> None:
    wanted = schema(
        name={"css": "b"},
        price={"xpath": "span[@class='price']"},
        link={"css": "a", "attribute": "href"},
        colours={"css": "i", "all": True},
    )
    assert read_records(SHOP, wanted, url=URL) == (
        {"name": "Pen & ink", "price": "3 €", "link": "https://example.com/pen", "colours": ["blue", "red"]},
        {"name": "Paper", "price": None, "link": "https://example.com/shop/paper.html", "colours": []},
    )


def test_without_each_the_page_is_one_record() -> None:
    wanted = RecordSchema.model_validate(
        {
            "fields": {
                "title": {"css": "h1"},
                "count": {"xpath": "count(//li)"},
                "links": {"xpath": "//a/@href", "all": True},
            }
        }
    )
    assert read_records(SHOP, wanted, url=URL) == (
        {
            "title": "Shop",
            "count": "3.0",
            "links": ["https://example.com/pen", "https://example.com/shop/paper.html"],
        },
    )


def test_a_page_without_matches_has_no_records() -> None:
    assert read_records("<p>nothing", schema(name={"css": "b"}), url=URL) == ()
    assert read_records("", schema(name={"css": "b"}), url=URL) == ()


@pytest.mark.parametrize("selector", [{"css": "li >"}, {"css": "li:nth-child(x"}, {"xpath": "//["}])
def test_a_selector_that_is_none_is_named(selector: dict) -> None:
    with pytest.raises(BadSelectorError, match="cannot be read"):
        read_records(SHOP, schema(name=selector), url=URL)


def test_functions_that_read_files_or_run_long_are_not_there() -> None:
    for xpath in ("document('/etc/passwd')", "re:test(., '(a+)+$')", "unparsed-text('/etc/passwd')"):
        assert read_records(SHOP, schema(name={"xpath": xpath}), url=URL) == ()


@pytest.mark.parametrize(
    "selector",
    [
        {},
        {"css": "a", "xpath": "b"},
        {"css": "a" * 501},
        {"xpath": "//a[.//b]"},
        {"xpath": "//a/following::b"},
        {"xpath": "//a" * 20},
        {"css": " ".join("a" * 20)},
        {"css": "a", "regex": "x"},
    ],
)
def test_what_would_take_long_or_says_nothing_is_refused(selector: dict) -> None:
    with pytest.raises(ValidationError):
        schema(name=selector)


def test_a_schema_has_fields() -> None:
    with pytest.raises(ValidationError):
        RecordSchema.model_validate({"fields": {}})
