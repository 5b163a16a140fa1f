"""JSON, JSON Lines and e-mail."""

import json
from email.message import EmailMessage

import pytest

from shared.documents.document import Limits, UnreadableDocumentError
from shared.documents.parse import parse


def rows(value: object) -> list[tuple[str, int | None]]:
    return [
        (block.text, block.row_first) for block in parse(json.dumps(value).encode(), "a.json", None).blocks
    ]


def test_an_array_is_a_row_for_each_element() -> None:
    assert rows(
        [{"name": "Ada", "home": {"city": "London"}, "tags": ["a", "b"], "no": None}, "text", 1.5]
    ) == [
        ("name: Ada; home.city: London; tags: a, b", 1),
        ("text", 2),
        ("1.5", 3),
    ]


def test_an_object_is_sections() -> None:
    value = {
        "title": "Shop",
        "open": True,
        "address": {"city": "Bern"},
        "goods": [{"name": "Kettle"}],
        "x": [1, 2],
    }
    document = parse(json.dumps(value).encode(), "a.json", None)
    assert document.title == "Shop"
    assert document.text == (
        "title: Shop; open: true\n\n# address\n\ncity: Bern\n\n# goods\n\nname: Kettle\n\n# x\n\n- 1\n- 2"
    )


def test_long_texts_stand_on_lines_of_their_own() -> None:
    body = "First line.\n\n" + "word " * 60
    (block, _) = parse(json.dumps([{"id": 1, "body": body}, {"id": 2}]).encode(), "a.json", None).blocks
    assert block.text.startswith("id: 1\nbody: First line.\n\nword")


def test_each_line_is_a_row_by_its_number() -> None:
    document = parse('{"a": "一"}\n\n{"a": "x\\u2028y"}\r\n'.encode(), "a.jsonl", None)
    assert [(block.text, block.row_first) for block in document.blocks] == [("a: 一", 1), ("a: x\ny", 3)]


@pytest.mark.parametrize(
    ("data", "filename", "reason"),
    [
        (b'{"a": 1,}', "a.json", r"not valid JSON \(line 1"),
        (b'{"a": 1}\n{"b"\n', "a.jsonl", r"Line 2 is not valid JSON"),
        (b"[" * 100_000, "a.json", "nested too deeply"),
        (b"[" + b"1" * 5_000 + b"]", "a.json", "not valid JSON"),
        (b"[[]]", "a.json", "contains no text"),
        (b"{}\n" * 20, "a.jsonl", "more than 10 lines"),
        (b"just text", "a.eml", "no sender and no subject"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, filename: str, reason: str) -> None:
    with pytest.raises(UnreadableDocumentError, match=reason) as caught:
        parse(data, filename, None, limits=Limits(rows=10))
    assert caught.value.code == "invalid_file"


def mail(**headers: str) -> EmailMessage:
    message = EmailMessage()
    for name, value in headers.items():
        message[name] = value
    return message


def test_a_mail_has_its_head_its_text_and_the_names_of_its_attachments() -> None:
    message = mail(Subject="水壶 kettle", From="Ada <ada@example.org>", To="bob@example.org")
    message.set_content("Hello Bob,\n\nsee the file.\n")
    message.add_alternative("<p>Hello <b>HTML</b></p>", subtype="html")
    message.add_attachment(b"x" * 3_000, maintype="application", subtype="pdf", filename="Größe.pdf")
    inner = mail(Subject="Before", From="eve@example.org")
    inner.set_content("<table><tr><td>a<td>b<tr><td>1<td>2</table>", subtype="html")
    message.add_attachment(inner)
    document = parse(message.as_bytes(), "a.eml", None)
    assert document.title == "水壶 kettle"
    assert document.text.split("\n\n") == [
        "# 水壶 kettle",
        "From: Ada <ada@example.org>\nTo: bob@example.org",
        "Hello Bob,",
        "see the file.",
        "Attachments:\n- Größe.pdf (application/pdf, 2 KB)",
        "## Before",
        "From: eve@example.org",
        "| a | b |\n| --- | --- |\n| 1 | 2 |",
    ]


def test_an_old_mail_in_an_asian_encoding() -> None:
    head = "Subject: =?gb2312?B?0tG/ygG=?=\nFrom: a@example.org\nContent-Type: text/plain; charset=gb2312\n"
    data = head.encode() + b"Content-Transfer-Encoding: 8bit\n\n" + "水壶可以容纳两升水。".encode("gb18030")
    assert "水壶可以容纳两升水。" in parse(data, "a.eml", "message/rfc822").text
