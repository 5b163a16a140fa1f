"""The parts of a DOCX: a ZIP of XML files (ECMA-376). Both are hostile until proven otherwise."""

import io
import zipfile
import zlib
from posixpath import dirname, join
from typing import Final

import lxml.etree
from lxml.etree import _Element

from shared.documents.document import Limits, UnreadableDocumentError

_RATIO_FROM_BYTES: Final = 2**20
_DAMAGED: Final = "The DOCX is damaged or cut short. Open it in a word processor and save it again."
_ENCRYPTED_FLAG: Final = 0x1


class Package:
    """Reads a DOCX's XML parts, decompressing no more than the limits allow in all."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
            raise invalid(_DAMAGED) from error
        if len(self._archive.infolist()) > limits.zip_entries:
            raise invalid(f"The DOCX holds more than {limits.zip_entries:,} files.")
        self._limits = limits
        self._left = limits.decompressed_bytes
        self._main = self._find_main()

    def main(self) -> _Element:
        """The document itself."""
        root = self._xml(self._main)
        if root is None:
            raise invalid(_DAMAGED)
        return root

    def beside_main(self, name: str) -> _Element | None:
        """A part in the document's own folder ("styles.xml"); None if there is none."""
        return self._xml(join(dirname(self._main), name))

    def properties(self) -> _Element | None:
        """Title, author and the like (`docProps/core.xml`)."""
        return self._xml("docProps/core.xml")

    def _find_main(self) -> str:
        """The part that the package's relationships call the document; usually "word/document.xml"."""
        relationships = self._xml("_rels/.rels")
        for relationship in relationships if relationships is not None else ():
            if str(relationship.get("Type", "")).endswith("/officeDocument"):
                return str(relationship.get("Target", "")).lstrip("/")
        return "word/document.xml"

    def _xml(self, name: str) -> _Element | None:
        data = self._read(name)
        if data is None:
            return None
        # No entities, no DTD, no network; libxml2's own limits on depth and text length stay on.
        parser = lxml.etree.XMLParser(
            resolve_entities=False, load_dtd=False, no_network=True, remove_comments=True, remove_pis=True
        )
        try:
            root = lxml.etree.fromstring(data, parser)
        except (lxml.etree.XMLSyntaxError, ValueError) as error:
            raise invalid(_DAMAGED) from error
        if root.getroottree().docinfo.internalDTD is not None:
            raise invalid("The DOCX declares a document type, which the format forbids. Save it again.")
        return root

    def _read(self, name: str) -> bytes | None:
        """One part, unpacked no further than allowed, whatever size the archive claims for it."""
        try:
            entry = self._archive.getinfo(name)
        except KeyError:
            return None
        if entry.flag_bits & _ENCRYPTED_FLAG:
            raise invalid("The DOCX is encrypted. Upload one without a password.")
        try:
            with self._archive.open(entry) as part:
                data = part.read(self._left + 1)
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, ValueError, EOFError, OSError) as error:
            raise invalid(_DAMAGED) from error
        self._left -= len(data)
        ratio = len(data) / max(1, entry.compress_size)
        if self._left < 0 or (len(data) > _RATIO_FROM_BYTES and ratio > self._limits.compression_ratio):
            raise invalid("The DOCX unpacks to far more than its size. Split it, or save it as plain text.")
        return data


def invalid(message: str) -> UnreadableDocumentError:
    """The error of a DOCX that cannot be read."""
    return UnreadableDocumentError("invalid_file", message)
