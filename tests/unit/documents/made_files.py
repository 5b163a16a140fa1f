"""Small files of each format, made by hand."""

import io
import zipfile
from dataclasses import dataclass

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


@dataclass(frozen=True)
class Words:
    """A run of text in a PDF; `x` and `y` in points from the lower left corner."""

    text: str
    y: float
    x: float = 72
    size: float = 10
    bold: bool = False


@dataclass(frozen=True)
class Rectangle:
    """A filled rectangle as large as the page, as scans are."""


def pdf(*pages: list[Words] | list[Rectangle], title: str = "", encrypted: bool = False) -> bytes:
    """A PDF in Helvetica, one content stream a page."""
    count = len(pages)
    kids = " ".join(f"{5 + 2 * number} 0 R" for number in range(count))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
    ]
    for number, page in enumerate(pages):
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792]"
            f" /Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> /Contents {6 + 2 * number} 0 R >>"
        )
        stream = "\n".join(_show(words) for words in page)
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    objects.append(f"<< /Title ({title}) >>")
    return _with_xref(objects, encrypted)


def _show(words: Words | Rectangle) -> str:
    if isinstance(words, Rectangle):
        return "0 0 612 792 re f"
    font = "F2" if words.bold else "F1"
    text = words.text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return f"BT /{font} {words.size} Tf {words.x} {words.y} Td ({text}) Tj ET"


def _with_xref(objects: list[str], encrypted: bool) -> bytes:
    out = b"%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    trailer = f"/Size {len(objects) + 1} /Root 1 0 R /Info {len(objects)} 0 R"
    if encrypted:
        key = "00" * 32
        trailer += f" /ID [<00><00>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <{key}> /U <{key}> >>"
    tail = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer\n<< {trailer} >>\n"
    return out + f"{tail}startxref\n{len(out)}\n%%EOF\n".encode("latin-1")


def docx(body: str, **parts: str) -> bytes:
    """A DOCX with that body; other parts by name: styles="<w:style ...>", numbering, footnotes."""
    files = {"word/document.xml": f"<w:document {W}><w:body>{body}</w:body></w:document>"}
    files |= {f"word/{name}.xml": f"<w:{name} {W}>{content}</w:{name}>" for name, content in parts.items()}
    return archive(files)


def archive(files: dict[str, str]) -> bytes:
    """A ZIP of text files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in files.items():
            package.writestr(name, content)
    return buffer.getvalue()


def paragraph(text: str, properties: str = "") -> str:
    """A WordprocessingML paragraph."""
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def cell(text: str, properties: str = "") -> str:
    """A table cell."""
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{paragraph(text)}</w:tc>"


RELATIONS = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'
R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'


def relations(**targets: str) -> str:
    """A relationships part: id="kind target"."""
    entries = (
        f'<Relationship Id="{id}" Type="x/{kind}" Target="{target}"/>'
        for id, (kind, target) in ((id, words.split()) for id, words in targets.items())
    )
    return f"<Relationships {RELATIONS}>{''.join(entries)}</Relationships>"


def xlsx(*sheets: str, strings: str = "", styles: str = "", workbook: str = "", **files: str) -> bytes:
    """A workbook; each sheet the XML of its rows."""
    numbers = range(1, len(sheets) + 1)
    names = "".join(f'<sheet name="Sheet {n}" sheetId="{n}" r:id="s{n}"/>' for n in numbers)
    targets = {f"s{n}": f"worksheet worksheets/sheet{n}.xml" for n in numbers}
    parts = {
        "xl/workbook.xml": f"<workbook {R}>{workbook}<sheets>{names}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": relations(
            **targets, strings="sharedStrings sharedStrings.xml", styles="styles styles.xml"
        ),
        "xl/sharedStrings.xml": f"<sst>{strings}</sst>",
        "xl/styles.xml": f"<styleSheet>{styles}</styleSheet>",
    }
    parts |= {
        f"xl/worksheets/sheet{n}.xml": f"<worksheet><sheetData>{rows}</sheetData></worksheet>"
        for n, rows in zip(numbers, sheets, strict=True)
    }
    return archive(parts | files)


def sheet_row(number: int, *cells: str | float) -> str:
    """A row of a sheet: text inline, numbers as numbers."""
    texts = (
        f"<c><v>{cell}</v></c>"
        if isinstance(cell, int | float)
        else f'<c t="inlineStr"><is><t>{cell}</t></is></c>'
        for cell in cells
    )
    return f'<row r="{number}">{"".join(texts)}</row>'


P = (
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
)


def pptx(*slides: str, notes: str = "", files: dict[str, str] | None = None) -> bytes:
    """A presentation; each slide the XML of its shapes; `notes` are the first slide's."""
    numbers = range(1, len(slides) + 1)
    ids = "".join(f'<p:sldId id="{n}" r:id="s{n}"/>' for n in numbers)
    parts = {
        "ppt/presentation.xml": f"<p:presentation {P} {R}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": relations(**{f"s{n}": f"slide slides/{n}.xml" for n in numbers}),
        "ppt/slides/_rels/1.xml.rels": relations(n="notesSlide ../notes/1.xml", c="chart ../charts/1.xml"),
        "ppt/notes/1.xml": slide(notes, "notes"),
    }
    parts |= {f"ppt/slides/{n}.xml": slide(shapes) for n, shapes in zip(numbers, slides, strict=True)}
    return archive(parts | (files or {}))


def slide(shapes: str, name: str = "sld") -> str:
    """A slide of those shapes."""
    return f"<p:{name} {P} {R}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:{name}>"


def shape(*paragraphs: str, placeholder: str | None = None) -> str:
    """A shape with paragraphs; two spaces before one put it a level deeper."""
    mark = f'<p:nvPr><p:ph type="{placeholder}"/></p:nvPr>' if placeholder else "<p:nvPr/>"
    body = "".join(
        f'<a:p><a:pPr lvl="{(len(text) - len(text.lstrip())) // 2}"/>'
        f"<a:r><a:t>{text.strip()}</a:t></a:r></a:p>"
        for text in paragraphs
    )
    return f"<p:sp><p:nvSpPr>{mark}</p:nvSpPr><p:txBody>{body}</p:txBody></p:sp>"


def epub(*chapters: str, contents: str = "", **files: str) -> bytes:
    """A book; each chapter the XHTML of its body, `contents` that of the table of contents."""
    numbers = range(1, len(chapters) + 1)
    items = "".join(
        f'<item id="c{n}" href="text/{n}.xhtml" media-type="application/xhtml+xml"/>' for n in numbers
    )
    nav = '<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>'
    spine = "".join(f'<itemref idref="c{n}"/>' for n in numbers)
    parts = {
        "META-INF/container.xml": '<container><rootfile full-path="OPS/book.opf"/></container>',
        "OPS/book.opf": "<package><metadata><title>The Book</title></metadata>"
        f"<manifest>{nav}{items}</manifest><spine>{spine}</spine></package>",
        "OPS/nav.xhtml": f"<html><body>{contents}</body></html>",
    }
    parts |= {
        f"OPS/text/{n}.xhtml": f"<?xml version='1.0' encoding='utf-8'?><html><body>{body}</body></html>"
        for n, body in zip(numbers, chapters, strict=True)
    }
    return archive(parts | files)
