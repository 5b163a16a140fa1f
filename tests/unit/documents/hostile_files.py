"""Files that are made to crash, to hang, to fill the memory or to reach out. Each is built when asked for."""

import io
import struct
import zipfile
from collections.abc import Callable, Mapping
from typing import Final

from tests.unit.documents.made_files import (
    R,
    W,
    archive,
    docx,
    epub,
    paragraph,
    pdf,
    pptx,
    relations,
    shape,
    sheet_row,
    xlsx,
)

_ENTITY: Final = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
_LAUGHS: Final = (
    '<!DOCTYPE x [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {new} "{f"&{old};" * 20}">' for old, new in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>"
)


def _bomb(name: str, start: bytes, middle: bytes, end: bytes, megabytes: int) -> bytes:
    """A package whose one part unpacks to so much."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as package:
        if name.startswith("xl/"):
            package.writestr("xl/workbook.xml", f'<x {R}><sheets><sheet name="A" r:id="a"/></sheets></x>')
            package.writestr("xl/_rels/workbook.xml.rels", relations(a="worksheet worksheets/sheet1.xml"))
        with package.open(name, "w", force_zip64=True) as part:
            part.write(start)
            for _ in range(megabytes):
                part.write(middle * (2**20 // len(middle)))
            part.write(end)
    return buffer.getvalue()


def _lying_bomb() -> bytes:
    """As `_bomb`, but the archive says that the part is small."""
    data = bytearray(_bomb("word/document.xml", b"<w>", b" ", b"</w>", 100))
    size = struct.pack("<I", 100 * 2**20 + 7)
    while (place := data.find(size)) >= 0:
        data[place : place + 4] = struct.pack("<I", 1_000)
    return bytes(data)


def _overlapping_bomb() -> bytes:
    """Thousands of names for one part, which would unpack again for each."""
    data = archive({"word/document.xml": "<x>" + "a" * 10_000 + "</x>"})
    central, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entry, count = data[central:end], 20_000
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(entry) * count, central, 0)
    return data[:central] + entry * count + tail


def _pdf(*objects: str) -> bytes:
    """A PDF of those objects without a cross-reference table, which readers then make themselves."""
    body = "".join(f"{number} 0 obj\n{text}\nendobj\n" for number, text in enumerate(objects, 1))
    return f"%PDF-1.7\n{body}trailer\n<< /Root 1 0 R >>\nstartxref\n999999999\n%%EOF\n".encode()


def _pdf_stream(data: bytes, dictionary: str) -> bytes:
    head = _pdf(
        "<< /Type /Catalog /Pages 2 0 R /OpenAction << /S /JavaScript /JS (app.launchURL('file:///')) >> >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R >>",
    )
    stream = (
        f"4 0 obj\n<< /Length {len(data)} {dictionary} >>\nstream\n".encode()
        + data
        + b"\nendstream\nendobj\n"
    )
    return head.replace(b"trailer", stream + b"trailer")


def _flate_bomb() -> bytes:
    import zlib

    once = zlib.compress(b" " * 100 * 2**20)
    return _pdf_stream(zlib.compress(once), "/Filter [/FlateDecode /FlateDecode]")


def _wide_workbook() -> bytes:
    rows = "".join(f'<row r="{n}"><c r="XFD{n}"><v>1</v></c></row>' for n in range(1, 20_001))
    return xlsx(rows)


def _nested_mail(depth: int) -> bytes:
    head = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(depth))
    return f"From: a@example.org\n{head}\nend".encode()


_OBJECT_LOOP: Final = (
    "<< /Type /Catalog /Pages 2 0 R /Outlines 2 0 R >>",
    "<< /Type /Pages /Kids [2 0 R 2 0 R 3 0 R] /Count 2147483647 /Parent 2 0 R >>",
    "<< /Type /Page /Parent 2 0 R /Contents 3 0 R /Resources 3 0 R /MediaBox [0 0 9 9] >>",
)
_FORM_LOOP: Final = (
    "<< /Type /Catalog /Pages 2 0 R >>",
    "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R /Resources 5 0 R >>",
    "<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Length 12 /Resources 5 0 R >>\n"
    "stream\n/F Do /F Do \nendstream",
    "<< /XObject << /F 4 0 R >> >>",
)
_MEGABYTES: Final = 100

# name of the file -> how to make it
HOSTILE: Final[Mapping[str, Callable[[], bytes]]] = {
    "bomb.docx": lambda: _bomb("word/document.xml", b"<w>", b" ", b"</w>", 100),
    "bomb.xlsx": lambda: _bomb("xl/worksheets/sheet1.xml", b"<w>", b"<row/>", b"</w>", 100),
    "lying-bomb.docx": _lying_bomb,
    "overlapping.docx": _overlapping_bomb,
    "flate-bomb.pdf": _flate_bomb,
    "laughs.docx": lambda: archive({"word/document.xml": f"{_LAUGHS}<w:x {W}>&i;</w:x>"}),
    "laughs.xlsx": lambda: xlsx(
        sheet_row(1, "x"), **{"xl/sharedStrings.xml": f"{_LAUGHS}<sst><si><t>&i;</t></si></sst>"}
    ),
    "entity.docx": lambda: archive({"word/document.xml": f"{_ENTITY}<w:x {W}>&e;</w:x>"}),
    "entity.xlsx": lambda: xlsx(
        '<row><c t="s"><v>0</v></c></row>',
        **{"xl/sharedStrings.xml": f"{_ENTITY}<sst><si><t>secret &e;</t></si></sst>"},
    ),
    "entity.epub": lambda: epub(
        "<p>x</p>", **{"OPS/text/1.xhtml": f"{_ENTITY}<html><body>x &e;</body></html>"}
    ),
    "loop.pdf": lambda: _pdf(*_OBJECT_LOOP),
    "form-loop.pdf": lambda: _pdf(*_FORM_LOOP),
    "no-xref.pdf": lambda: pdf([])[:-60],
    "garbage.pdf": lambda: b"%PDF-1.7\n" + bytes(range(256)) * 4_000,
    "wide.xlsx": _wide_workbook,
    "deep.html": lambda: b"<html><body>" + b"<div>" * 200_000 + b"deep",
    "deep.json": lambda: b'{"a":' * 200_000,
    "deep.eml": lambda: _nested_mail(3_000),
    "deep.md": lambda: b"> " * 100_000 + b"deep",
    "brackets.md": lambda: b"[" * 200_000,
    "slide-circle.pptx": lambda: pptx("<p:grpSp>" * 200 + shape("deep") + "</p:grpSp>" * 200),
    "spaces.txt": lambda: b"a" + b" " * 2_000_000 + b"b",
    "line.txt": lambda: b"word " * (_MEGABYTES * 2**20 // 5),
    "line.csv": lambda: b"a,b\n" + b"x" * (_MEGABYTES * 2**20),
    "line.jsonl": lambda: b'{"a": "' + b"x" * (_MEGABYTES * 2**20) + b'"}',
    "line.md": lambda: b"word " * (_MEGABYTES * 2**20 // 5),
    "line.html": lambda: b"<html><body>" + b"word " * (_MEGABYTES * 2**20 // 5),
    "line.json": lambda: b'["' + b"x" * (_MEGABYTES * 2**20) + b'"]',
    "quote.csv": lambda: b'a,b\n"' + b"x,y\n" * 5_000_000,
    "header.eml": lambda: b"From: a@example.org\nTo: " + b"a@example.org, " * 3_000 + b"\n\nText",
    "marks.txt": lambda: ("a" + "\u0301\u0323" * 8_000).encode(),
    "program.docx": lambda: b"MZ\x90\x00" + bytes(500),
    "picture.pdf": lambda: b"\x89PNG\r\n\x1a\n" + bytes(500),
    "text.xlsx": lambda: b"only text",
    "page.docx": lambda: b"<!doctype html><p>A page under another name",
    "macro.docm": lambda: archive(
        {
            "word/document.xml": f"<w:x {W}><w:body>{paragraph('Text')}</w:body></w:x>",
            "word/vbaProject.bin": "x",
        }
    ),
    "encrypted.pdf": lambda: pdf([], encrypted=True),
    "encrypted.docx": lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(3_000),
    "locked.docx": lambda: _locked(docx(paragraph("Text"))),
}


def _locked(data: bytes) -> bytes:
    """The archive says that its parts have a password."""
    flagged = bytearray(data)
    place = -1
    while (place := flagged.find(b"PK\x01\x02", place + 1)) >= 0:
        flagged[place + 8] |= 1
    return bytes(flagged)
