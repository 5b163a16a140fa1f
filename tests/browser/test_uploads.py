"""Uploads: by drop or by choice, straight or presigned, with progress, until ready or failed."""

import re
from pathlib import Path

from playwright.async_api import FilePayload, Locator, Page, expect

from tests.browser.gestures import drop, upload_row
from tests.browser.stand_in import Ingestion, StandIn

MEBIBYTE = 1024 * 1024

# Keeps all values that the bar shows from now on: the rest of the upload may be over in no time.
RECORD = """bar => {
    window.shown = [];
    const keep = () => window.shown.push(bar.getAttribute("value"));
    new MutationObserver(keep).observe(bar, { attributes: true, attributeFilter: ["value"] });
}"""


def file_payload(name: str, media_type: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": media_type, "buffer": content}


def progress(page: Page) -> Locator:
    return page.get_by_role("progressbar")


async def test_a_dropped_file_is_uploaded_and_becomes_ready(page: Page, server: StandIn) -> None:
    server.let_body_in.set()
    await page.get_by_label("Vector store", exact=True).select_option(label="Team handbook")
    await expect(page.get_by_text("0 documents ready")).to_be_visible()
    await drop(page, "handbook.md", "text/markdown", "# Holidays\n\nThirty days a year.")
    await expect(upload_row(page, "handbook.md")).to_contain_text("Reading…")
    await expect(progress(page)).to_be_visible()
    server.ingestion.finish.set()
    await expect(upload_row(page, "handbook.md")).to_contain_text("Ready")
    await expect(progress(page)).to_be_hidden()
    await expect(page.get_by_text("1 document ready")).to_be_visible()
    assert server.uploads == [("handbook.md", 31)]


async def test_the_first_visit_asks_the_documents_and_a_choice_of_none_is_kept(page: Page) -> None:
    picker = page.get_by_label("Vector store", exact=True)
    await expect(picker).to_have_value("vs-1")
    await picker.select_option("")
    await page.reload()
    await expect(picker.locator("option")).to_have_count(2)
    await expect(picker).to_have_value("")


async def test_without_a_store_an_upload_makes_one_and_asks_it(page: Page, server: StandIn) -> None:
    server.let_body_in.set()
    server.ingestion.finish.set()
    notes = file_payload("notes.txt", "text/plain", b"Water flows.")
    await page.get_by_label("Vector store", exact=True).select_option("")
    await page.get_by_label("choose files").set_input_files([notes])
    await expect(upload_row(page, "notes.txt")).to_contain_text("Ready")
    await expect(page.get_by_label("Vector store", exact=True)).to_have_value("vs-2")
    assert server.stores["vs-2"] == "My documents"


async def test_a_large_file_goes_to_object_storage_and_its_progress_reaches_the_end(
    page: Page, server: StandIn, tmp_path: Path
) -> None:
    # More than the buffers on the way hold, so that the bar must stand until the server reads on.
    large = tmp_path / "manual.pdf"
    large.write_bytes(b"%PDF-1.7\n" + bytes(32 * MEBIBYTE))
    await page.get_by_label("Vector store", exact=True).select_option(label="Team handbook")
    await page.get_by_label("choose files").set_input_files(large)
    await expect(upload_row(page, "manual.pdf")).to_contain_text(re.compile(r"Uploading, [1-9]\d? %"))
    assert 0 < float(await progress(page).get_attribute("value") or 0) < 1
    await progress(page).evaluate(RECORD)
    server.let_body_in.set()
    await expect(upload_row(page, "manual.pdf")).to_contain_text("Reading…")
    assert "1" in await page.evaluate("window.shown")
    assert server.uploads == [("manual.pdf", 32 * MEBIBYTE + 9)]
    server.ingestion.finish.set()
    await expect(upload_row(page, "manual.pdf")).to_contain_text("Ready")


async def test_the_reason_of_a_failed_ingestion_is_shown(page: Page, server: StandIn) -> None:
    server.let_body_in.set()
    server.ingestion = Ingestion(
        status="failed", reason="This PDF is encrypted. Remove the password, upload again."
    )
    server.ingestion.finish.set()
    secret = file_payload("secret.pdf", "application/pdf", b"%PDF-1.7")
    await page.get_by_label("choose files").set_input_files([secret])
    await expect(upload_row(page, "secret.pdf")).to_contain_text(
        "This PDF is encrypted. Remove the password, upload again."
    )


async def test_an_empty_file_is_refused_before_it_is_sent(page: Page, server: StandIn) -> None:
    empty = file_payload("empty.txt", "text/plain", b"")
    await page.get_by_label("choose files").set_input_files([empty])
    await expect(upload_row(page, "empty.txt")).to_contain_text("This file is empty.")
    assert server.uploads == []
