"""Files for `bench.ingestion`: made here, or from the sample documents where a folder of them is at hand."""

import csv
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Final

import pypdfium2

SAMPLES: Final = Path(__file__).parents[2] / "shared" / "data" / "documents"
PAGES: Final = 300
_ROWS: Final = 10_000
_PARAGRAPHS: Final = 2_000
_SENTENCES: Final = (
    "The kettle holds two litres of water and boils it in three minutes. ",
    "Fill it only to the mark, and never lift the lid while it works. ",
    "水壶可以容纳两升水，三分钟内即可烧开。请勿超过标记线。",
    "Descale it once a month with vinegar; rinse it twice afterwards. ",
)


def made_files(directory: Path) -> Iterator[Path]:
    """One file after the other, the samples last."""
    for name, write in _MADE.items():
        path = directory / name
        write(path)
        yield path
    for name in ("test.docx", "test.pptx", "test.xlsx", "china_chinese.html"):
        if (SAMPLES / name).exists():
            yield SAMPLES / name
    if (SAMPLES / "mtragun.pdf").exists():
        path = directory / f"{PAGES} pages.pdf"
        _repeat_pages(SAMPLES / "mtragun.pdf", path)
        yield path


def _repeat_pages(source: Path, target: Path) -> None:
    """The pages of one PDF over and over, up to `PAGES`."""
    pages, made = pypdfium2.PdfDocument(source), pypdfium2.PdfDocument.new()
    while len(made) < PAGES:
        made.import_pages(pages, list(range(min(len(pages), PAGES - len(made)))))
    made.save(target)
    made.close()
    pages.close()


def _prose(number: int) -> str:
    return "".join(_SENTENCES[(number + step) % len(_SENTENCES)] for step in range(6))


def _row(number: int) -> dict[str, str | int | float]:
    return {
        "id": number,
        "name": f"Model {number % 977}",
        "city": f"City {number % 331}",
        "price": number * 1.5,
        "note": f"{_SENTENCES[number % 4].strip()} ({number})",
    }


def _markdown() -> str:
    sections = (
        f"## Section {n}\n\n{_prose(n)}\n\n- one\n- two\n\n{_prose(n + 1)}\n" for n in range(_PARAGRAPHS // 2)
    )
    return "# Manual\n\n" + "\n".join(sections)


def _write_csv(path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(_row(0)))
        writer.writeheader()
        writer.writerows(_row(number) for number in range(_ROWS))


def _write_xlsx(path: Path) -> None:
    def cells(values: list[str | int | float]) -> str:
        return "".join(
            f"<c><v>{value}</v></c>"
            if isinstance(value, int | float)
            else f'<c t="inlineStr"><is><t>{value}</t></is></c>'
            for value in values
        )

    rows: list[list[str | int | float]] = [[*_row(0)], *([*_row(number).values()] for number in range(_ROWS))]
    sheet = "".join(f'<row r="{n}">{cells(row)}</row>' for n, row in enumerate(rows, 1))
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    types = "application/vnd.openxmlformats-officedocument.spreadsheetml"

    def relations(id: str, kind: str, target: str) -> str:
        entry = f'<Relationship Id="{id}" Type="{office}/{kind}" Target="{target}"/>'
        return f'<Relationships xmlns="{package}/relationships">{entry}</Relationships>'

    _write_zip(
        path,
        {
            "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
            '<Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{types}.sheet.main+xml"/>'
            f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{types}.worksheet+xml"/></Types>',
            "_rels/.rels": relations("r1", "officeDocument", "xl/workbook.xml"),
            "xl/_rels/workbook.xml.rels": relations("s1", "worksheet", "worksheets/sheet1.xml"),
            "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
            '<sheet name="Models" sheetId="1" r:id="s1"/></sheets></workbook>',
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{sheet}</sheetData>'
            "</worksheet>",
        },
    )


def _write_epub(path: Path) -> None:
    chapters = range(1, 41)
    items = "".join(
        f'<item id="c{n}" href="{n}.xhtml" media-type="application/xhtml+xml"/>' for n in chapters
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in chapters)
    container = '<rootfile full-path="book.opf" media-type="application/oebps-package+xml"/>'
    _write_zip(
        path,
        {
            "META-INF/container.xml": f"<container><rootfiles>{container}</rootfiles></container>",
            "book.opf": '<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>Manual</dc:title>'
            f"</metadata><manifest>{items}</manifest><spine>{spine}</spine></package>",
        }
        | {
            f"{n}.xhtml": f"<html><body><h1>Chapter {n}</h1>"
            + "".join(f"<p>{_prose(n + step)}</p>" for step in range(50))
            + "</body></html>"
            for n in chapters
        },
    )


def _write_zip(path: Path, files: Mapping[str, str]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in files.items():
            package.writestr(name, content)


def _write_mail(path: Path) -> None:
    message = EmailMessage()
    message["Subject"], message["From"] = "The kettle", "ada@example.org"
    message.set_content("\n\n".join(_prose(number) for number in range(200)))
    path.write_bytes(message.as_bytes())


_MADE: Final[Mapping[str, Callable[[Path], object]]] = {
    "manual.txt": lambda path: path.write_text("\n\n".join(map(_prose, range(_PARAGRAPHS)))),
    "manual.md": lambda path: path.write_text(_markdown()),
    "models.csv": _write_csv,
    "models.json": lambda path: path.write_text(json.dumps([_row(number) for number in range(_ROWS)])),
    "models.jsonl": lambda path: path.write_text(
        "\n".join(json.dumps(_row(number)) for number in range(_ROWS))
    ),
    "models.xlsx": _write_xlsx,
    "manual.epub": _write_epub,
    "mail.eml": _write_mail,
}
