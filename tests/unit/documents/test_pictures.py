import struct
import zlib

import pytest

from shared.documents.document import UnreadableDocumentError
from shared.documents.parse import parse
from shared.documents.parts import parse_part, plan_parts
from shared.documents.pdf_image import page_image
from shared.documents.pictures import no_vision_model, with_captions
from shared.documents.source import Source
from tests.unit.documents.made_files import Rectangle, Words, pdf


def test_a_picture_is_empty_until_it_is_described(tmp_path) -> None:
    path = tmp_path / "kettle"
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    plan = plan_parts(path, "kettle.png", None)
    document = parse_part(path, plan, plan.parts[0])
    assert (plan.format, document.text, document.media_type) == ("png", "", "image/png")
    described = with_captions(document, {None: "A red kettle.\n\nIt says: 水壶"})
    assert described.text == "A red kettle.\n\nIt says: 水壶"
    assert described.blocks[0].page is None
    with pytest.raises(UnreadableDocumentError, match="no vision model is set") as caught:
        parse(path.read_bytes(), "kettle.png", None)
    assert caught.value.message == no_vision_model("a picture").message
    assert caught.value.code == "unsupported_file"


def test_captions_of_scanned_pages_stand_on_their_pages() -> None:
    words = [Words("A page with words.", 700)]
    document = parse(pdf([Rectangle()], words, [Rectangle()], words, [Rectangle()]), "a.pdf", None)
    assert document.scanned_pages == (1, 3, 5)
    described = with_captions(document, {1: "First.", 3: "", 5: "Last."})
    assert [(block.text, block.page) for block in described.blocks] == [
        ("First.", 1),
        ("A page with words.", 2),
        ("A page with words.", 4),
        ("Last.", 5),
    ]
    assert described.scanned_pages == ()
    assert with_captions(document, {3: "Third."}).scanned_pages == (1, 5)


def test_a_page_becomes_an_image() -> None:
    png = page_image(Source(pdf([Words("A page with words.", 700)], [Rectangle()])), 1)
    width, height, depth, colour = struct.unpack(">IIBB", png[16:26])
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert (width, depth, colour) == (1275, 8, 0)
    assert height == pytest.approx(1650, abs=1)
    length = struct.unpack(">I", png[33:37])[0]
    pixels = zlib.decompress(png[41 : 41 + length])
    assert len(pixels) == height * (width + 1)
    assert {0, 255} <= set(pixels[1 : 200 * (width + 1)])
