import pytest

from shared.documents.document import Limits, UnreadableDocumentError
from shared.documents.parse import parse


def rows(text: str, filename: str = "a.csv") -> list[tuple[str, int | None]]:
    return [(block.text, block.row_first) for block in parse(text.encode(), filename, None).blocks]


def test_a_row_reads_alone_and_knows_its_number() -> None:
    assert rows("name,city\nAda,London\nBob,Bern\n") == [
        ("name: Ada; city: London", 2),
        ("name: Bob; city: Bern", 3),
    ]


def test_empty_and_repeated_rows_go_and_numbers_stay_the_file_s() -> None:
    assert rows("name,city\n\nAda,London\n,\nAda,London\nBob,\n") == [
        ("name: Ada; city: London", 3),
        ("name: Bob", 6),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    text = "\n".join(delimiter.join(row) for row in [("price", "note"), ("1.5", "a b"), ("2.5", "c")])
    assert rows(text)[0] == ("price: 1.5; note: a b", 2)


def test_decimal_commas_do_not_hide_the_semicolons() -> None:
    assert rows("price;note\n1,5;a\n2,5;b\n")[0] == ("price: 1,5; note: a", 2)


def test_quoted_fields_keep_delimiters_and_lines() -> None:
    assert rows('name,city\n"Ada, Countess","New\nYork"\n') == [("name: Ada, Countess; city: New York", 2)]


def test_without_a_header_columns_are_numbered() -> None:
    assert rows("Ada,36\nBob,41\n") == [
        ("Column 1: Ada; Column 2: 36", 1),
        ("Column 1: Bob; Column 2: 41", 2),
    ]


def test_gaps_and_repeats_in_the_header_get_names() -> None:
    assert rows(",city,city\n7,Bern,Biel\n") == [("Column 1: 7; city: Bern; city (2): Biel", 2)]


def test_a_single_row_is_not_lost() -> None:
    assert rows("name,city\n") == [("name; city", 1)]


def test_a_title_above_the_table_is_a_note() -> None:
    text = "Report of the year,,\n\nname,city,age\nAda,London,36\nBob,Bern,\n"
    assert rows(text) == [
        ("Report of the year", 1),
        ("name: Ada; city: London; age: 36", 4),
        ("name: Bob; city: Bern", 5),
    ]


def test_rows_longer_than_the_header_lose_nothing() -> None:
    assert rows("name\nAda,London\n") == [("name: Ada; Column 2: London", 2)]


def test_a_chinese_table_from_excel() -> None:
    data = "姓名,城市\r\n张三,北京\r\n".encode("gb18030")
    document = parse(data, "表.csv", "application/vnd.ms-excel")
    assert document.text == "姓名: 张三; 城市: 北京"
    assert document.media_type == "text/csv"


def test_rows_stand_on_lines_of_their_own() -> None:
    assert parse(b"a,b\nx,y\nz,w\n", "a.csv", None).text == "a: x; b: y\na: z; b: w"


def test_a_tsv_may_hold_commas() -> None:
    assert rows("name\tcity\nAda, C.\tLondon, UK\n", "a.tsv") == [("name: Ada, C.; city: London, UK", 2)]


@pytest.mark.parametrize(
    ("text", "limits", "reason"),
    [
        ("a,b\n" + "1,2\n" * 20, Limits(rows=10), "more than 10 rows"),
        (",".join("a" * 50) + ("\n" + "1," * 49) * 10, Limits(cells=100), "more than 100 cells"),
        ('a,b\n"' + "x,y\n" * 300_000, Limits(), "Is a quote left open"),
        (",\n\n", Limits(), "contains no text"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, limits: Limits, reason: str) -> None:
    with pytest.raises(UnreadableDocumentError, match=reason) as caught:
        parse(text.encode(), "a.csv", None, limits=limits)
    assert caught.value.code == "invalid_file"
