"""Near-duplicates have near hashes."""

import pytest

from shared.web.extraction.words import words_of
from shared.web.simhash import NEAR_DUPLICATE_BITS, hamming, simhash

STORY = " ".join(
    f"On day {day} the river rose by {day * 7 % 40} centimetres and the mill stood still."
    for day in range(60)
)
CHINESE = "".join(
    f"第{day}天，河水上涨了{day * 7 % 40}厘米，磨坊停了下来，人们在岸边看着。" for day in range(60)
)


def of_text(text: str) -> int | None:
    return simhash(words_of(text))


def distance(one: str, other: str) -> int:
    first, second = of_text(one), of_text(other)
    assert first is not None
    assert second is not None
    return hamming(first, second)


@pytest.mark.parametrize("text", [STORY, CHINESE])
def test_a_small_change_is_a_near_duplicate(text: str) -> None:
    assert distance(text, text.replace("14", "15", 1)) <= NEAR_DUPLICATE_BITS
    assert distance(text, text.upper()) == 0


def test_other_texts_are_far() -> None:
    assert distance(STORY, CHINESE) > 4 * NEAR_DUPLICATE_BITS
    assert distance(STORY, "A recipe: take three eggs, some flour, a little milk, and stir. " * 20) > 12


def test_the_order_of_words_counts() -> None:
    assert distance(STORY, " ".join(sorted(STORY.split()))) > NEAR_DUPLICATE_BITS


def test_a_hash_has_64_bits_and_stays_the_same() -> None:
    value = of_text("The river rises in the hills")
    assert value == of_text("the RIVER rises -- in the hills") == 1387328734234411670
    assert value is not None
    assert 0 <= value < 2**64


@pytest.mark.parametrize("text", ["", " \n", "--- !"])
def test_a_text_without_words_has_none(text: str) -> None:
    assert of_text(text) is None


@pytest.mark.parametrize("text", ["one", "one two", "河"])
def test_short_texts_have_one(text: str) -> None:
    assert of_text(text) is not None


@pytest.mark.parametrize(("one", "other", "bits"), [(0, 0, 0), (0b1011, 0b0010, 2), (0, 2**64 - 1, 64)])
def test_hamming(one: int, other: int, bits: int) -> None:
    assert hamming(one, other) == bits
