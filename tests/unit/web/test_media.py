"""Pages, documents, and what is neither."""

import pytest

from shared.web.media import filename, is_wanted, may_be_wanted, settle

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@pytest.mark.parametrize(
    ("media_type", "url", "body", "settled"),
    [
        ("text/html", "https://a.test/x.pdf", b"<html>", "text/html"),
        ("application/xhtml+xml", "https://a.test/", b"<html>", "text/html"),
        ("application/pdf", "https://a.test/x", b"%PDF-", "application/pdf"),
        ("text/csv", "https://a.test/x", b"a,b", "text/csv"),
        ("", "https://a.test/X.PDF?a=1", b"%PDF-", "application/pdf"),
        ("application/octet-stream", "https://a.test/x.docx", b"PK", DOCX),
        ("application/octet-stream", "https://a.test/x", b"\xef\xbb\xbf\n <!doctype html>", "text/html"),
        ("application/octet-stream", "https://a.test/x", b"\x7fELF", None),
        ("application/csv", "https://a.test/x", b"a,b", "application/csv"),
        ("application/vnd.ms-excel", "https://a.test/x.csv", b"a,b", "text/csv"),
        ("application/vnd.ms-excel", "https://a.test/x.xls", b"\xd0\xcf", None),
        ("application/octet-stream", "https://a.test/x.xlsx", b"PK", XLSX),
        (XLSX, "https://a.test/x", b"PK", XLSX),
        ("image/png", "https://a.test/x", b"\x89PNG", None),
        ("application/json", "https://a.test/x", b"{}", None),
    ],
)
def test_settle(media_type: str, url: str, body: bytes, settled: str | None) -> None:
    assert settle(media_type, url, body) == settled


@pytest.mark.parametrize(
    ("media_type", "wanted"),
    [("text/html", True), ("application/pdf", True), ("", True), ("image/png", False), ("video/mp4", False)],
)
def test_is_wanted(media_type: str, wanted: bool) -> None:
    assert is_wanted(media_type) is wanted


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://a.test/", True),
        ("https://a.test/page.php", True),
        ("https://a.test/v1.2/notes", True),
        ("https://a.test/report.PDF", True),
        ("https://a.test/photo.JPG", False),
        ("https://a.test/photo.jpg?size=2", False),
        ("https://a.test/archive.tar.gz", False),
        ("https://a.test/?file=photo.jpg", True),
    ],
)
def test_may_be_wanted(url: str, wanted: bool) -> None:
    assert may_be_wanted(url) is wanted


@pytest.mark.parametrize(
    ("media_type", "url", "header", "name"),
    [
        ("application/pdf", "https://a.test/docs/Report%202024.pdf?x=1", None, "Report 2024.pdf"),
        ("application/pdf", "https://a.test/download?id=5", None, "download.pdf"),
        ("application/pdf", "https://a.test/", None, "a.test.pdf"),
        ("application/pdf", "https://a.test/d", 'attachment; filename="the report.pdf"', "the report.pdf"),
        ("application/pdf", "https://a.test/d", "attachment; filename*=UTF-8''%E6%8A%A5.pdf", "报.pdf"),
        ("application/pdf", "https://a.test/d", 'attachment; filename="../../etc/passwd"', "passwd.pdf"),
        ("application/pdf", "https://a.test/d", 'attachment; filename="C:\\\\x\\\\y.pdf"', "y.pdf"),
        ("application/pdf", "https://a.test/d.pdf", "attachment", "d.pdf"),
        ("text/plain", "https://a.test/a%00%0Ab.txt", None, "ab.txt"),
    ],
)
def test_filename(media_type: str, url: str, header: str | None, name: str) -> None:
    assert filename(media_type, url, header) == name
