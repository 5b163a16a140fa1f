"""Lines of output files, pages of results, and prices of batches."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.batch.finishing import pages
from shared.batch.models import Problem
from shared.batch.prices import batch_models
from shared.batch.result_lines import answered, malformed, not_asked, refused
from shared.errors import NotFoundError
from shared.limits.limits import Limits
from shared.providers.catalog import Catalog, Models


def test_an_answer_takes_one_line_whatever_it_looks_like() -> None:
    line = answered("batch_1", 3, "a", "req", b'{\r\n  "text": "two\\nlines"\n}')
    assert "\n" not in line
    assert json.loads(line) == {
        "id": "batch_req_1_3",
        "custom_id": "a",
        "response": {"status_code": 200, "request_id": "req", "body": {"text": "two\nlines"}},
        "error": None,
    }


def test_errors_have_openais_forms() -> None:
    error = NotFoundError("no such model", code="model_not_found")
    response = json.loads(refused("batch_1", 1, "a", "req", error))["response"]
    assert (response["status_code"], response["body"]["error"]["code"]) == (404, "model_not_found")
    problem = Problem(code="invalid_json_line", message="Line 2 is not right.", line=2)
    line = json.loads(malformed("batch_1", 2, None, problem))
    assert (line["custom_id"], line["response"], line["error"]["line"]) == (None, None, 2)
    assert json.loads(not_asked("batch_1", 3, "a", expired=True))["error"]["code"] == "batch_expired"
    assert json.loads(not_asked("batch_1", 3, "a", expired=False))["error"]["code"] == "batch_cancelled"


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 60))
def test_pages_hold_all_lines_in_order_and_no_more_than_they_may(lengths: list[int], limit: int) -> None:
    sizes = [(3 * place + 1, length) for place, length in enumerate(lengths)]
    found = list(pages(sizes, limit))
    held = [[size for number, size in sizes if first <= number <= last] for first, last in found]
    assert [size for page in held for size in page] == lengths
    assert all(len(page) == 1 or sum(page) <= limit for page in held)
    assert found == sorted(found)


CATALOG = """
[[providers]]
name = "cheap"
base_url = "http://cheap/v1"
[[providers.models]]
kind = "chat"
name = "m"
context_window = 1
price = { input = "0.000001", cached_input = "0.1", output = "2" }
limits = { requests_per_minute = 1, budget_per_day = 5 }
[[providers]]
name = "other"
base_url = "http://other/v1"
[[providers.models]]
kind = "embedding"
name = "e"
context_window = 1
dimensions = 3
price = { input = "1", output = "0", batch = "0.25" }
"""


def test_prices_are_multiplied_and_limits_of_rate_left_out() -> None:
    models = batch_models(Models(Catalog.from_toml(CATALOG)), Decimal("0.5"))
    (chat,), (embedding,) = models.chat("m"), models.embedding("e")
    assert (chat.model.price.cached_input, chat.model.price.output) == (Decimal("0.05"), Decimal(1))
    assert embedding.model.price.input == Decimal("0.25")
    assert chat.model.limits == Limits(budget_per_day=5)


@pytest.mark.parametrize("factor", ["0", "1"])
def test_a_factor_may_be_none_or_all(factor: str) -> None:
    (chat,) = batch_models(Models(Catalog.from_toml(CATALOG)), Decimal(factor)).chat("m")
    assert chat.model.price.output == 2 * Decimal(factor)
