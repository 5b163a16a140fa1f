import pytest

from shared.documents.document import Document, UnreadableDocumentError
from shared.documents.parse import parse


def read(text: str) -> Document:
    return parse(text.encode(), "a.md", None)


def test_blocks_by_commonmark_s_rules() -> None:
    document = read(
        "Manual\n======\n\nRead *this*\nfirst.\n\n## Use ##\n\n- a\n  - b\n\n    more\n\n"
        "| x | y |\n|---|---|\n| 1 | 2 |\n\n```sh\n# no heading\n\n\nrun\n```\n\n> quoted\n\n***\n"
    )
    assert [(block.kind, block.level, block.text) for block in document.blocks] == [
        ("heading", 1, "# Manual"),
        ("paragraph", None, "Read *this*\nfirst."),
        ("heading", 2, "## Use"),
        ("list", None, "- a\n  - b\n\n    more"),
        ("table", None, "| x | y |\n|---|---|\n| 1 | 2 |"),
        ("code", None, "```sh\n# no heading\n\n\nrun\n```"),
        ("paragraph", None, "> quoted"),
    ]
    assert document.media_type == "text/markdown"


def test_raw_html_becomes_markdown() -> None:
    document = read('<div align="center"><h2>Kettle</h2>boils</div>\n\n<!-- note -->\n\nText <br> here.')
    assert [block.text for block in document.blocks] == ["## Kettle", "boils", "Text <br> here."]


@pytest.mark.parametrize(
    ("text", "title", "first"),
    [
        ("---\ntitle: 'Kettle: a manual'\ntags:\n  - x\n---\n\n# Other\n", "Kettle: a manual", "# Other"),
        (
            "---\ndate: 2026-01-01\n---\n# The `kettle` *itself*\n",
            "The kettle itself",
            "# The `kettle` *itself*",
        ),
        ("---\nno header of YAML\n---\n", None, "## no header of YAML"),
        ("## Only level two\n", None, "## Only level two"),
        ("---\n" + "- a: b\n" * 200, None, "- a: b"),
    ],
)
def test_titles(text: str, title: str | None, first: str) -> None:
    document = read(text)
    assert document.title == title
    assert document.text.startswith(first)


def test_a_header_alone_is_no_text() -> None:
    with pytest.raises(UnreadableDocumentError, match="contains no text"):
        read("---\ntitle: Kettle\n---\n")


def test_a_table_has_no_empty_row_and_none_twice() -> None:
    """As CSV files; pages repeat their headers."""
    rows = [
        "| City | Note |",
        "| --- | --- |",
        "| Bonn | a \\| b |",
        "|  |  |",
        "City | Note",
        "|Bonn|a \\| b|",
    ]
    table = "\n".join([*rows, "| Bonn | |", "| Kiel\u200b | a |", "| Kiel | a |"])
    (block,) = parse(table.encode(), "a.md", None).blocks
    assert block.text.split("\n") == [*rows[:3], "| Bonn | |", "| Kiel | a |"]
