"""The cells of a workbook as text: shared strings, and numbers as formats mean them (ECMA-376 part 1, 18)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, Any, Final

import lxml.etree
from lxml.etree import QName, _Element

from shared.documents.cleaning import clean_line
from shared.documents.document import Limits, too_much_text
from shared.documents.package import Package

# Numbers of formats that every workbook has (18.8.30).
_DATES: Final = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))
_PERCENT: Final = frozenset((9, 10))
# In a format's code, what is no placeholder: quoted text, escaped characters, colours and conditions.
_LITERAL: Final = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]', re.IGNORECASE)
_DATE_CODE: Final = re.compile(r"[dmyhs]", re.IGNORECASE)
_EPOCH: Final = datetime(1899, 12, 30)  # noqa: DTZ001  a date in a sheet has no time zone
_EPOCH_1904: Final = datetime(1904, 1, 1)  # noqa: DTZ001
_LAST_DAY: Final = 2_958_466
_COLUMN: Final = re.compile(r"[A-Z]{1,3}")
# Columns A to XFD.
_COLUMNS: Final = 16_384


def rows_of(stream: IO[bytes], tag: str) -> Iterator[_Element]:
    """Elements of a large part one by one, each forgotten when the next is asked for."""
    found: Any = lxml.etree.iterparse(
        stream,
        events=("end",),
        tag=f"{{*}}{tag}",
        resolve_entities=False,
        no_network=True,
        remove_comments=True,
    )
    for _, element in found:
        yield element
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]


@dataclass(frozen=True)
class Cells:
    """What the cells of a workbook refer to: its strings, and which styles show dates or shares."""

    strings: Sequence[str]
    dates: frozenset[int]
    shares: frozenset[int]
    epoch: datetime

    def row(self, row: _Element) -> list[str]:
        """The texts of a row, empty where a cell is missing."""
        texts: list[str] = []
        for cell in row.iterchildren("{*}c"):
            column = _column(cell.get("r", ""), len(texts))
            texts += [""] * (column - len(texts))
            texts.append(self._text(cell))
        while texts and not texts[-1]:
            texts.pop()
        return texts

    def _text(self, cell: _Element) -> str:
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            return clean_line(string(cell.find("{*}is")))
        value = cell.findtext("{*}v") or ""
        match kind:
            case "s":
                return (
                    self.strings[int(value)] if value.isdecimal() and int(value) < len(self.strings) else ""
                )
            case "b":
                return "TRUE" if value == "1" else "FALSE"
            case "n":
                return self._number(value, cell.get("s", "0"))
            case _:
                return clean_line(value)

    def _number(self, value: str, style: str) -> str:
        try:
            number = float(value)
        except ValueError:
            return clean_line(value)
        index = int(style) if style.isdecimal() and len(style) < 9 else 0
        if index in self.dates and 0 <= number < _LAST_DAY:
            return _date(number, self.epoch)
        # Excel keeps 15 digits, and writes the rest of the binary number too.
        return f"{100 * number:.12g}%" if index in self.shares else f"{number:.15g}"


def read_cells(package: Package, main: str, workbook: _Element, limits: Limits) -> Cells:
    """Read the strings and styles of a workbook whose part is `main`."""
    properties = workbook.find("{*}workbookPr")
    is_1904 = properties is not None and properties.get("date1904") in ("1", "true")
    formats = _formats(package.xml(package.related(main, "styles") or ""))
    return Cells(
        strings=_strings(package, package.related(main, "sharedStrings"), limits),
        dates=frozenset(index for index, code in enumerate(formats) if _is_date(code)),
        shares=frozenset(index for index, code in enumerate(formats) if _is_share(code)),
        epoch=_EPOCH_1904 if is_1904 else _EPOCH,
    )


def string(element: _Element | None) -> str:
    """The text of a string, its runs joined, without the readings of Japanese words."""
    texts = element.iter("{*}t") if element is not None else ()
    return "".join(text.text or "" for text in texts if QName(text.getparent()).localname != "rPh")


def _strings(package: Package, path: str | None, limits: Limits) -> list[str]:
    found: list[str] = []
    left = limits.text_characters
    with package.stream(path or "") as stream:
        for item in rows_of(stream, "si") if stream is not None else ():
            found.append(clean_line(string(item)))
            left -= len(found[-1])
            if left < 0:
                raise too_much_text(limits)
    return found


def _formats(styles: _Element | None) -> list[int | str]:
    """For each cell style the number of its format, or its code where the workbook defines it."""
    if styles is None:
        return []
    codes = {
        item.get("numFmtId", ""): item.get("formatCode", "")
        for item in styles.iterfind("{*}numFmts/{*}numFmt")
    }
    ids = [item.get("numFmtId", "0") for item in styles.iterfind("{*}cellXfs/{*}xf")]
    return [codes[id] if id in codes else int(id) if id.isdecimal() and len(id) < 9 else 0 for id in ids]


def _is_date(code: int | str) -> bool:
    if isinstance(code, int):
        return code in _DATES
    return bool(_DATE_CODE.search(_LITERAL.sub("", code.partition(";")[0]).replace("General", "")))


def _is_share(code: int | str) -> bool:
    return code in _PERCENT if isinstance(code, int) else "%" in _LITERAL.sub("", code)


def _date(serial: float, epoch: datetime) -> str:
    moment = epoch + timedelta(seconds=round(serial * 86_400))
    if serial < 1:
        return f"{moment:%H:%M:%S}".removesuffix(":00")
    return f"{moment:%Y-%m-%d}" if moment.time() == datetime.min.time() else f"{moment:%Y-%m-%d %H:%M}"


def _column(reference: str, following: int) -> int:
    """The column of "AB12", from 0; the next one where there is no such reference, or it points back."""
    letters = _COLUMN.match(reference)
    column = 0
    for letter in letters[0] if letters else "":
        column = 26 * column + ord(letter) - ord("A") + 1
    return max(following, column - 1) if column <= _COLUMNS else following
