"""The chat: an answer grows as it comes, can be stopped, and says what went wrong."""

import asyncio

from playwright.async_api import Page, expect

from tests.browser.conftest import Faults
from tests.browser.gestures import ask
from tests.browser.stand_in import KEY, StandIn, answer, event


async def test_text_appears_before_the_answer_is_complete(page: Page, server: StandIn) -> None:
    whole = event({"content": "你好, wörld 🙂"})
    cut = whole.index("好".encode()) + 1  # in the middle of a character of three bytes
    first, second = asyncio.Event(), asyncio.Event()
    server.answers = [
        [
            b": keep-alive\n\n",
            event({"role": "assistant", "content": "The first part. "}),
            whole[:cut],
            first,
            whole[cut:-1],  # the event's last newline is still to come
            second,
            whole[-1:],
            event({}, "stop"),
            b"data: [DONE]\n\n",
        ]
    ]
    await page.get_by_label("Vector store", exact=True).select_option("")
    await ask(page, "Hello?")
    article = page.get_by_role("article").last
    text = article.locator(".text")
    await expect(text).to_have_text("The first part.")
    await expect(article).to_have_attribute("aria-busy", "true")
    first.set()
    await expect(page.get_by_role("button", name="Stop")).to_be_visible()
    second.set()
    await expect(text).to_have_text("The first part. 你好, wörld 🙂")
    await expect(article).to_have_attribute("aria-busy", "false")
    await expect(page.get_by_role("status").first).to_have_text("The answer is complete.")
    assert server.chats[0] == {
        "model": "smollm2-135m",
        "messages": [{"role": "user", "content": "Hello?"}],
        "stream": True,
    }


async def test_the_conversation_goes_along_and_a_new_chat_drops_it(page: Page, server: StandIn) -> None:
    server.answers = [answer("One."), answer("Two."), answer("Three.")]
    await ask(page, "first")
    await expect(page.get_by_text("One.")).to_be_visible()
    await expect(page.get_by_role("button", name="Send")).to_be_visible()
    await page.get_by_label("Vector store", exact=True).select_option(label="Team handbook")
    await ask(page, "second")
    await expect(page.get_by_text("Two.")).to_be_visible()
    assert [m["content"] for m in server.chats[1]["messages"]] == ["first", "One.", "second"]
    assert server.chats[1]["weir"] == {"knowledge": {"vector_store_ids": ["vs-1"]}}

    await page.get_by_role("button", name="New chat").click()
    await expect(page.get_by_text("Ask your documents")).to_be_visible()
    await ask(page, "third")
    await expect(page.get_by_text("Three.")).to_be_visible()
    assert [m["content"] for m in server.chats[2]["messages"]] == ["third"]


async def test_escape_stops_the_answer_and_the_connection(page: Page, server: StandIn) -> None:
    server.answers = [[event({"content": "Once upon a time"}), asyncio.Event()]]
    await ask(page, "Tell me a story")
    await expect(page.get_by_text("Once upon a time")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("article").last).to_contain_text("Stopped.")
    await expect(page.get_by_role("button", name="Send")).to_be_visible()
    await asyncio.wait_for(server.client_left.wait(), timeout=10)


async def test_an_error_in_mid_stream_is_shown_and_can_be_tried_again(page: Page, server: StandIn) -> None:
    failure = (
        b'data: {"error": {"message": "Every deployment of this model failed.", "type": "server_error"}}\n\n'
    )
    server.answers = [[event({"content": "Half an ans"}), failure], answer("A whole answer.")]
    await ask(page, "Why?")
    last = page.get_by_role("article").last
    await expect(last).to_contain_text("Half an ans")
    await expect(last).to_contain_text("Every deployment of this model failed.")
    await last.get_by_role("button", name="Try again").click()
    await expect(last).to_contain_text("A whole answer.")
    await expect(page.get_by_text("Half an ans")).to_have_count(0)
    assert server.chats[1]["messages"] == [{"role": "user", "content": "Why?"}]


async def test_a_stream_that_ends_without_its_end_mark_is_not_taken_for_whole(
    page: Page, server: StandIn
) -> None:
    server.answers = [[event({"content": "It is"})]]
    await ask(page, "What is it?")
    await expect(page.get_by_text("The connection broke before the answer was complete.")).to_be_visible()


async def test_a_refusal_is_shown_in_the_words_of_the_server(
    page: Page, server: StandIn, faults: Faults
) -> None:
    faults.expected.append("429 (Too Many Requests)")
    server.refusals = [(429, "This key may ask 3 times a minute. Try again in 20 seconds.")]
    await ask(page, "Again?")
    await expect(page.get_by_text("Try again in 20 seconds.")).to_be_visible()


async def test_reasoning_is_folded(page: Page, server: StandIn) -> None:
    server.answers = [[event({"reasoning_content": "The user greets."}), *answer("Hello.")]]
    await ask(page, "Hi")
    await expect(page.get_by_text("Hello.")).to_be_visible()
    await expect(page.get_by_text("The user greets.")).to_be_hidden()
    await page.get_by_text("Thinking").click()
    await expect(page.get_by_text("The user greets.")).to_be_visible()


async def test_text_of_a_model_is_never_taken_as_html(page: Page, server: StandIn) -> None:
    hostile = "<img src=x onerror=alert(1)> **<b>bold</b>** `<i>`\n\n```html\n<script>alert(1)</script>\n```"
    server.answers = [answer(hostile)]
    await ask(page, "Attack")
    text = page.get_by_role("article").last.locator(".text")
    await expect(text.locator("strong")).to_have_text("<b>bold</b>")
    await expect(text.locator("pre")).to_have_text("<script>alert(1)</script>")
    assert await text.locator("img, b, i, script").count() == 0


async def test_an_unknown_key_asks_for_another(blank_page: Page, server: StandIn, faults: Faults) -> None:
    faults.expected.append("401 (Unauthorized)")
    await blank_page.goto(server.url)
    dialog = blank_page.get_by_role("dialog", name="API key")
    await dialog.get_by_label("Your Weir key").fill("sk-weir-wrong")
    await blank_page.keyboard.press("Enter")
    await expect(dialog.get_by_role("alert")).to_have_text(
        "This API key is not known. Check it, or create another."
    )
    await dialog.get_by_label("Your Weir key").fill(KEY)
    await dialog.get_by_role("button", name="Use this key").click()
    await expect(dialog).to_be_hidden()
    await expect(blank_page.get_by_label("Model", exact=True)).to_have_value("smollm2-135m")
    await expect(blank_page.get_by_label("Model", exact=True).get_by_role("option")).to_have_text(
        ["smollm2-135m", "deepseek-flash"]
    )


async def test_a_key_in_the_address_is_kept_and_taken_out_of_it(page: Page, server: StandIn) -> None:
    assert page.url == f"{server.url}/"
    await page.reload()
    await expect(page.get_by_label("Model", exact=True)).to_have_value("smollm2-135m")
