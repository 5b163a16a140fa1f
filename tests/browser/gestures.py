"""What a reader does on the page, for tests of the scripted and of the whole stack alike."""

from playwright.async_api import Locator, Page

# Dispatches what a browser does when a file is dropped: there is no other way to drop from outside.
_DROP = """([name, type, text]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([text], name, { type }));
    const target = document.querySelector("#question");
    const details = { dataTransfer: transfer, bubbles: true, cancelable: true };
    let marked = false;
    for (const event of ["dragenter", "dragover", "drop"]) {
        target.dispatchEvent(new DragEvent(event, details));
        marked ||= document.body.hasAttribute("data-dragging");
    }
    return marked;
}"""


async def ask(page: Page, question: str) -> None:
    """Type a question and send it with Enter."""
    await page.get_by_label("Your question").fill(question)
    await page.keyboard.press("Enter")


async def drop(page: Page, name: str, media_type: str, text: str) -> None:
    """Drag a file onto the page and let it go; the page must show that it takes it."""
    assert await page.evaluate(_DROP, [name, media_type, text]), (
        "the page did not show that files may be dropped"
    )


def upload_row(page: Page, name: str) -> Locator:
    """The row of an upload in the list."""
    return page.get_by_role("list", name="Uploads").get_by_role("listitem").filter(has_text=name)


def sources(page: Page) -> Locator:
    """The sources under the newest answer."""
    return page.get_by_role("article").last.get_by_role("group", name="Sources")
