"""A ZIP of XML files: DOCX, PPTX, XLSX (ECMA-376) and EPUB. Both are hostile until proven otherwise."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from posixpath import basename, dirname, join, normpath
from types import TracebackType
from typing import IO, Final, Self
from urllib.parse import unquote

import lxml.etree
from lxml.etree import _Element

from shared.documents.cleaning import clean_line
from shared.documents.document import Limits, UnreadableDocumentError, invalid
from shared.documents.source import Source

_RATIO_FROM_BYTES: Final = 2**20
_ENCRYPTED_FLAG: Final = 0x1
_BROKEN: Final = (zipfile.BadZipFile, zlib.error, NotImplementedError, ValueError, EOFError, OSError)


@dataclass(frozen=True)
class Relationship:
    """What a part refers to: the end of the relationship's type ("slide"), and the path of its target."""

    kind: str
    target: str


class Package:
    """Reads the parts of a package, unpacking no more than the limits allow in all. Use it in a `with` block.

    The archive's word for a part's size holds: Python unpacks no further than that.
    """

    def __init__(self, source: Source, limits: Limits, kind: str) -> None:
        """Args:
        kind: What the file is, for messages: "DOCX".
        """
        self._kind = kind
        self._limits = limits
        self._left = limits.decompressed_bytes
        self._file = source.open()
        try:
            self._archive = zipfile.ZipFile(self._file)
        except _BROKEN as error:
            self._file.close()
            raise self.damaged() from error

    def __enter__(self) -> Self:
        if len(self._archive.infolist()) > self._limits.zip_entries:
            self._file.close()
            raise invalid(f"The {self._kind} holds more than {self._limits.zip_entries:,} files.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()
        self._file.close()

    def main(self, usual: str) -> str:
        """The part that the package's relationships call the document, else the one that usually is."""
        return self.related("", "officeDocument") or usual

    def names(self) -> list[str]:
        """The paths of all parts, as the archive orders them."""
        return self._archive.namelist()

    def xml(self, name: str) -> _Element | None:
        """A part's root; None if there is no such part."""
        data = self.read(name)
        return None if data is None else self.parse(data)

    def parse(self, data: bytes, *, document_type: bool = False) -> _Element:
        """XML from the package. A document type is refused, unless the format has one; none is loaded."""
        # No entities, no DTD, no network; libxml2's own limits on depth and text length stay on.
        parser = lxml.etree.XMLParser(
            resolve_entities=False, load_dtd=False, no_network=True, remove_comments=True, remove_pis=True
        )
        try:
            root = lxml.etree.fromstring(data, parser)
        except (lxml.etree.XMLSyntaxError, ValueError) as error:
            raise self.damaged() from error
        if not document_type and root.getroottree().docinfo.internalDTD is not None:
            raise invalid(f"The {self._kind} declares a document type, which the format forbids.")
        return root

    def read(self, name: str) -> bytes | None:
        """A part's bytes; None if there is no such part."""
        entry = self._entry(name)
        if entry is None:
            return None
        try:
            with self._archive.open(entry) as part:
                data = part.read(self._left + 1)
        except _BROKEN as error:
            raise self.damaged() from error
        self._left -= len(data)
        if self._left < 0:
            raise self._too_large()
        return data

    @contextmanager
    def stream(self, name: str) -> Iterator[IO[bytes] | None]:
        """A part to read piece by piece, which may be larger than others; None if there is no such part."""
        entry = self._entry(name)
        if entry is None:
            yield None
            return
        if entry.file_size > self._limits.streamed_bytes:
            raise self._too_large()
        try:
            with self._archive.open(entry) as part:
                yield part
        except (*_BROKEN, lxml.etree.XMLSyntaxError) as error:
            raise self.damaged() from error

    def relationships(self, name: str) -> dict[str, Relationship]:
        """What a part refers to inside the package, by the id it uses."""
        root = self.xml(join(dirname(name), "_rels", f"{basename(name)}.rels"))
        return {
            str(entry.get("Id", "")): Relationship(
                kind=str(entry.get("Type", "")).rpartition("/")[2],
                target=resolved(name, str(entry.get("Target", ""))),
            )
            for entry in (root if root is not None else ())
            if entry.get("TargetMode") != "External"
        }

    def related(self, name: str, kind: str) -> str | None:
        """The path of the first part of that kind that a part refers to."""
        found = self.relationships(name).values()
        return next((relation.target for relation in found if relation.kind == kind), None)

    def title(self) -> str | None:
        """The title among an Office file's properties."""
        properties = self.xml("docProps/core.xml")
        title = properties.findtext("{*}title") if properties is not None else None
        return clean_line(title or "") or None

    def damaged(self) -> UnreadableDocumentError:
        """The error of a package that cannot be read."""
        return invalid(
            f"The {self._kind} is damaged or cut short. Open it in the program it is from and save it again."
        )

    def _entry(self, name: str) -> zipfile.ZipInfo | None:
        try:
            entry = self._archive.getinfo(name)
        except KeyError:
            return None
        if entry.flag_bits & _ENCRYPTED_FLAG:
            raise invalid(f"The {self._kind} is encrypted. Upload one without a password.")
        ratio = entry.file_size / max(1, entry.compress_size)
        if entry.file_size > _RATIO_FROM_BYTES and ratio > self._limits.compression_ratio:
            raise self._too_large()
        return entry

    def _too_large(self) -> UnreadableDocumentError:
        return invalid(
            f"The {self._kind} unpacks to far more than its size. Split it, or save it as plain text."
        )


def resolved(base: str, target: str) -> str:
    """The path that a reference in the part `base` means, without its fragment; never out of the package."""
    path = unquote(target.partition("#")[0])
    joined = path if path.startswith("/") else join(dirname(base), path)
    return normpath("/" + joined).lstrip("/")
