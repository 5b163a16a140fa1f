"""The page's modules by themselves, in the browser they run in."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from tests.browser.stand_in import StandIn, listening

READ_EVENTS = """async ([bytes, size]) => {
    const { readEvents } = await import("/static/stream.js");
    const body = new ReadableStream({
        start(controller) {
            for (let at = 0; at < bytes.length; at += size) {
                controller.enqueue(new Uint8Array(bytes.slice(at, at + size)));
            }
            controller.close();
        },
    });
    const events = [];
    for await (const data of readEvents(body)) events.push(data);
    return events;
}"""

RENDER = """async text => {
    const { MarkdownView } = await import("/static/markdown.js");
    const container = document.createElement("div");
    const view = new MarkdownView(container);
    const citation = number =>
        number === 1 ? Object.assign(document.createElement("i"), { textContent: number }) : null;
    for (let end = 1; end <= text.length; end += 1) view.update(text.slice(0, end), citation);
    return container.innerHTML;
}"""


@pytest.fixture(scope="module")
async def modules(browser: Browser) -> AsyncIterator[Page]:
    """One page for all tests here: they keep nothing on it."""
    context = await browser.new_context()
    async with listening(StandIn(objects_url="http://127.0.0.1:9").gateway()) as url:
        page = await context.new_page()
        await page.goto(url)
        yield page
        await context.close()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
async def test_events_are_the_same_wherever_the_bytes_are_cut(modules: Page, size: int, newline: str) -> None:
    lines = [
        ": a comment",
        "",
        'data: {"a": "好🙂"}',
        "",
        "id: 7",
        "event: x",
        "data:no space",
        "",
        "data: two",
        "data: lines",
        "",
        "",
        "data: [DONE]",
        "",
    ]
    stream = ("\ufeff" + newline.join(lines) + newline).encode()
    events = await modules.evaluate(READ_EVENTS, [list(stream), size])
    assert events == ['{"a": "好🙂"}', "no space", "two\nlines", "[DONE]"]


async def test_an_event_cut_off_by_the_end_of_the_stream_is_left_out(modules: Page) -> None:
    stream = b'data: whole\n\ndata: {"choices": [{"del'
    assert await modules.evaluate(READ_EVENTS, [list(stream), 7]) == ["whole"]


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("one\ntwo\n\nthree", "<p>one\ntwo</p><p>three</p>"),
        ("a **b `c`** d", "<p>a <strong>b <code>c</code></strong> d</p>"),
        ("2 * 3 * 4 and **open", "<p>2 * 3 * 4 and **open</p>"),
        ("*soft* word", "<p><em>soft</em> word</p>"),
        ("## Title ##\ntext", "<h4>Title</h4><p>text</p>"),
        ("- a\n- b\n  - c\n- d", "<ul><li>a</li><li>b<ul><li>c</li></ul></li><li>d</li></ul>"),
        ("3. a\n\n4. b", '<ol><li value="3">a</li><li value="4">b</li></ol>'),
        ("- a\n  more\n\nafter", "<ul><li>a\nmore</li></ul><p>after</p>"),
        (
            "```py\nif **x**:\n\n    y\n```\nz",
            '<pre tabindex="0" data-language="py"><code>if **x**:\n\n    y</code></pre><p>z</p>',
        ),
        ("````\n```\n````", '<pre tabindex="0"><code>```</code></pre>'),
        ("```\nopen", '<pre tabindex="0"><code>open</code></pre>'),
        ("a \ue0001\ue001[7] b", "<p>a <i>1</i> b</p>"),
        ("a \ue0001\ue001\ue0001\ue001【source 7，8】b", "<p>a <i>1</i><i>1</i>b</p>"),
        ("a \ue0009\ue001[7] b", "<p>a \ue0009\ue001[7] b</p>"),
        ("`x\ue0001\ue001[7]`", "<p><code>x[7]</code></p>"),
        ("```\nx\ue0001\ue001[7]\n```\ue0001\ue001", '<pre tabindex="0"><code>x[7]</code></pre>'),
        ("see [1] & <b>", "<p>see [1] &amp; &lt;b&gt;</p>"),
    ],
)
async def test_markdown_grows_into_nodes(modules: Page, text: str, html: str) -> None:
    assert await modules.evaluate(RENDER, text) == html


async def test_finished_blocks_keep_their_nodes_while_the_answer_grows(modules: Page) -> None:
    kept = """async () => {
        const { MarkdownView } = await import("/static/markdown.js");
        const container = document.createElement("div");
        const view = new MarkdownView(container);
        view.update("first\\n\\nsec");
        const before = [...container.children];
        view.update("first\\n\\nsecond");
        return [...container.children].map((node, at) => node === before[at]);
    }"""
    assert await modules.evaluate(kept) == [True, False]


async def test_code_points_become_utf16_offsets(modules: Page) -> None:
    text = "a🙂好\r\n👩‍👩‍👧z"
    offsets = """async ([text, count]) => {
        const { utf16Offset } = await import("/static/citations.js");
        return Array.from({ length: count }, (_, at) => utf16Offset(text, at));
    }"""
    expected = [len(text[:at].encode("utf-16-le")) // 2 for at in range(len(text) + 2)]
    assert await modules.evaluate(offsets, [text, len(text) + 2]) == expected


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ({"char_start": 2, "char_end": 5, "quote": "cde"}, [2, 5]),
        ({"char_start": 2, "char_end": 5}, [2, 5]),
        ({"char_start": 0, "char_end": 3, "quote": "fg"}, [5, 7]),
        ({"char_start": 90, "char_end": 99, "quote": ""}, None),
        ({"quote": "not there"}, None),
        ({"char_start": 5, "char_end": 2, "quote": None}, None),
    ],
)
async def test_the_place_of_a_quote(modules: Page, place: dict[str, Any], expected: list[int] | None) -> None:
    find = (
        """async place => (await import("/static/citations.js")).findPlace("abcdefgh", JSON.parse(place))"""
    )
    assert await modules.evaluate(find, json.dumps(place)) == expected
