import pytest

from shared.documents.document import Document, UnreadableDocumentError
from shared.documents.parse import parse

PROSE = "<p>The kettle holds two litres of water and boils it in three minutes.</p>"


def read(body: str) -> Document:
    return parse(f"<!doctype html><html><body>{body}</body></html>".encode(), "a.html", "text/html")


def test_structure_becomes_markdown_blocks() -> None:
    document = read(
        "<h1>Manual</h1><p>Read <b>this</b> <a href='/x'>first</a>,<br>please: <code>boil()</code></p>"
        "<h3>Safety <a class='headerlink' href='#s'>¶</a></h3>loose text<div>more</div>"
    )
    assert [(block.kind, block.level, block.text) for block in document.blocks] == [
        ("heading", 1, "# Manual"),
        ("paragraph", None, "Read this first,\nplease: `boil()`"),
        ("heading", 3, "### Safety"),
        ("paragraph", None, "loose text"),
        ("paragraph", None, "more"),
    ]
    assert document.title == "Manual"
    assert document.media_type == "text/html"


def test_lists_nest_and_are_one_block() -> None:
    (block,) = read("<ol><li>Fill<ul><li>cold<li>or hot</ul></li><li><p>Boil</p><p>well</p></ol>").blocks
    assert block.kind == "list"
    assert block.text == "1. Fill\n   - cold\n   - or hot\n2. Boil well"


def test_a_list_around_code_keeps_the_code_whole() -> None:
    document = read("<ol><li>Run<pre>make\n  run</pre></li><li>Wait</li></ol>")
    assert [(block.kind, block.text) for block in document.blocks] == [
        ("paragraph", "Run"),
        ("code", "```\nmake\n  run\n```"),
        ("paragraph", "Wait"),
    ]


def test_tables_write_out_their_spans() -> None:
    (block,) = read(
        "<table><thead><tr><th>Model<th colspan=2>Size</thead>"
        "<tr><td rowspan=2>K1<td>2 | 3<td>cold<tr><td>4<td>hot</table>"
    ).blocks
    assert block.kind == "table"
    assert block.text.split("\n") == [
        "| Model | Size |  |",
        "| --- | --- | --- |",
        "| K1 | 2 \\| 3 | cold |",
        "| K1 | 4 | hot |",
    ]


def test_huge_spans_do_not_blow_up() -> None:
    cells = "<tr><td rowspan=65000 colspan=1000>a<td rowspan=65000 colspan=1000>b" * 2_000
    document = read(f"<table>{cells}</table>")
    assert len(document.text) < 100_000


def test_a_table_for_layout_is_its_content() -> None:
    document = read(f"<table><tr><td><h2>Left</h2>{PROSE}<td>right</table>")
    assert [block.kind for block in document.blocks] == ["heading", "paragraph", "paragraph"]


def test_code_keeps_its_language_lines_and_fences() -> None:
    (block,) = read('<pre><code class="language-python">x = """\n\n\n```\n"""</code></pre>').blocks
    assert block.kind == "code"
    assert block.text == '````python\nx = """\n\n\n```\n"""\n````'


def test_what_surrounds_the_text_is_dropped() -> None:
    links = "".join(f"<li><a href='/{n}'>Page {n}</a></li>" for n in range(4))
    document = read(
        f"<nav>Home</nav><header>Brand</header><main><h1>Kettle</h1>{PROSE * 3}<ul>{links}</ul>"
        "<div class='share-bar'>Tweet this</div><script>evil()</script><style>p{}</style></main>"
        "<footer>Imprint</footer>"
    )
    for gone in ("Home", "Brand", "Page 1", "Tweet", "evil", "p{", "Imprint"):
        assert gone not in document.text
    assert document.text.startswith("# Kettle")


def test_a_page_is_never_emptied() -> None:
    menu = "".join(f"<div class='menu'>Dish {n}</div>" for n in range(20))
    assert "Dish 7" in read(menu).text
    links = "".join(f"<li><a href='/{n}'>Page {n}</a></li>" for n in range(4))
    assert "Page 3" in read(f"<ul>{links}</ul>").text
    assert "Kettle" in read(f"<div></div><noscript><h1>Kettle</h1>{PROSE}</noscript>").text


def test_the_title_element_comes_first() -> None:
    data = b"<html><head><title> Kettle &amp; Co </title></head><body><h1>Other</h1>text</body></html>"
    assert parse(data, "a.html", None).title == "Kettle & Co"


def test_nesting_beyond_256_elements_loses_nothing() -> None:
    document = read("<div>" * 1_000 + "<p>deep</p>" + "</div>" * 1_000 + "<p>after</p>")
    assert "deep" in document.text
    assert "after" in document.text


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(UnreadableDocumentError, match="nested too deeply"):
        read("<div>" * 5_000 + "x")


@pytest.mark.parametrize(
    ("codec", "label"),
    [
        ("gb18030", "gb2312"),
        ("gb18030", "gbk"),
        ("gb18030", "utf-8"),
        ("utf-8", "gbk"),
        ("utf-8", "iso-8859-1"),
        ("big5", "big5"),
        ("utf-16", "utf-8"),
        ("utf-8", "utf-16"),
        ("gb18030", ""),
        ("gb18030", "no-such-charset"),
        ("gb18030", "punycode"),
    ],
)
def test_chinese_pages_in_any_encoding_under_any_label(codec: str, label: str) -> None:
    text = "水壺可以容納兩升水" if codec == "big5" else "北京市是中华人民共和国的首都，水壶可以容纳两升水。"
    page = f"<html><head><meta charset='{label}'></head><body><p>{text}</p></body></html>"
    assert parse(page.encode(codec), "a.html", None).text == text


@pytest.mark.parametrize("page", ["<html></html>", "<html><!-- only a comment --></html>", "<html><p> </p>"])
def test_a_page_without_text_says_so(page: str) -> None:
    with pytest.raises(UnreadableDocumentError, match="contains no text"):
        parse(page.encode(), "a.html", None)
