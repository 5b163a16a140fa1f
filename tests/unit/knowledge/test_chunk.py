from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from shared.documents.document import Block, Content, Document, Limits, Part, assemble
from shared.documents.parse import parse
from shared.knowledge.chunk import chunk, indexed
from shared.knowledge.sentences import sentences
from shared.providers.tokens import estimate_tokens

LINES = st.text(alphabet="ab c.。!？\t中文字𠀀é|", min_size=1, max_size=60).filter(str.strip)
TEXTS = st.lists(LINES, min_size=1, max_size=6).map("\n".join)
PARTS = st.one_of(
    st.builds(
        lambda level, words: Part(kind="heading", text=f"{'#' * level} {words}", level=level),
        st.integers(1, 4),
        LINES,
    ),
    st.builds(Part, kind=st.sampled_from(["paragraph", "list", "code", "table"]), text=TEXTS),
)
DOCUMENTS = st.lists(PARTS, min_size=1, max_size=12).map(lambda parts: document(*parts))


def document(*parts: Part, title: str | None = None) -> Document:
    return assemble(Content(parts=parts, title=title), "text/markdown", Limits())


def heading(level: int, words: str) -> Part:
    return Part(kind="heading", text=f"{'#' * level} {words}", level=level)


def paragraph(text: str, **place: int) -> Part:
    return Part(kind="paragraph", text=text, **place)


@given(DOCUMENTS, st.integers(2, 60))
def test_chunks_cover_the_text_without_overlap_within_the_budget(parsed: Document, budget: int) -> None:
    end = 0
    for piece in chunk(parsed, max_tokens=budget):
        assert piece.text == parsed.text[piece.start : piece.end]
        assert piece.text.strip()
        assert not parsed.text[end : piece.start].strip()
        assert estimate_tokens(piece.text) <= 2 * budget
        end = piece.end
    assert not parsed.text[end:].strip()


@given(DOCUMENTS, st.integers(10, 60))
def test_sentences_rows_and_code_up_to_twice_the_budget_stay_whole(parsed: Document, budget: int) -> None:
    pieces = chunk(parsed, max_tokens=budget)
    for block in parsed.blocks:
        lines = [line.strip() for line in block.text.split("\n") if line.strip()]
        units = {"code": [block.text.strip()], "table": lines}.get(block.kind, [])
        if block.kind == "paragraph":
            units = [block.text[start:end] for start, end in sentences(block.text)]
        for unit in units:
            if estimate_tokens(unit) <= budget:
                assert any(unit in piece.text for piece in pieces)


@given(DOCUMENTS, st.integers(10, 60))
def test_a_block_within_half_the_budget_is_never_cut(parsed: Document, budget: int) -> None:
    pieces = chunk(parsed, max_tokens=budget)
    for block in parsed.blocks:
        if estimate_tokens(block.text) <= budget // 2:
            assert any(piece.start <= block.start and block.end <= piece.end for piece in pieces)


def test_a_section_is_a_chunk_and_knows_its_headings() -> None:
    filler = "The kettle takes two litres. " * 8
    pieces = chunk(
        document(
            heading(1, "Manual"),
            heading(2, "Kettle"),
            paragraph(filler),
            heading(3, "Safety"),
            paragraph(filler),
            heading(2, "Toaster"),
            paragraph(filler),
            title="Kitchen",
        ),
        max_tokens=80,
    )
    assert [piece.headings for piece in pieces] == [
        ("Manual", "Kettle"),
        ("Manual", "Kettle", "Safety"),
        ("Manual", "Toaster"),
    ]
    assert [piece.lead for piece in pieces] == ["Kitchen", "Kitchen > Manual > Kettle", "Kitchen > Manual"]
    assert pieces[1].indexed_text.startswith("Kitchen > Manual > Kettle\n\n### Safety\n\nThe kettle")


def test_small_sections_share_a_chunk_under_the_heading_they_share() -> None:
    pieces = chunk(
        document(
            heading(1, "Questions"),
            heading(2, "Who?"),
            paragraph("We."),
            heading(2, "When?"),
            paragraph("Now."),
        )
    )
    assert [piece.headings for piece in pieces] == [("Questions",)]


def test_a_heading_is_not_parted_from_its_text() -> None:
    text = "One sentence of some length stands here. " * 8
    before, after = chunk(
        document(paragraph("Short, but not small. " * 4), heading(1, "Next"), paragraph(text)), max_tokens=100
    )
    assert before.headings == ()
    assert after.text.startswith("# Next\n\nOne sentence")


def test_long_text_is_cut_between_sentences_english_and_chinese() -> None:
    english = "Dr. Li wrote version 2.5 of it. Nobody e.g. I read it! Did you? " * 20
    chinese = "退款在七个工作日内到账。你需要订单号吗？是的！" * 20
    for text, stops in ((english, ".!?"), (chinese, "。？！")):
        pieces = chunk(document(paragraph(text.strip())), max_tokens=64)
        assert len(pieces) > 3
        assert all(piece.text[-1] in stops for piece in pieces)
        assert not any(piece.text.endswith(("Dr.", "e.g.", "2.")) for piece in pieces)


def test_a_long_table_is_cut_between_rows_and_keeps_its_columns() -> None:
    rows = "\n".join(f"| item {n} | {n} EUR |" for n in range(100))
    pieces = chunk(
        document(Part(kind="table", text=f"| Item | Price |\n| --- | --- |\n{rows}")), max_tokens=64
    )
    assert len(pieces) > 3
    assert all(line.count("|") == 3 for piece in pieces for line in piece.text.splitlines())
    assert pieces[0].headings == ()
    assert {piece.headings for piece in pieces[1:]} == {("Item | Price",)}
    assert pieces[1].indexed_text.startswith("Item | Price\n\n| item")


def test_rows_and_pages_are_ranges() -> None:
    rows = [Part(kind="paragraph", text=f"Name: n{n}; Number: {n}", row=n) for n in range(2, 41)]
    first, second, *_ = chunk(document(*rows), max_tokens=64)
    assert first.row_first == 2
    assert first.row_last is not None
    assert second.row_first == first.row_last + 1
    (whole,) = chunk(document(paragraph("On one.", page=1), paragraph("On two.", page=2)))
    assert (whole.page_first, whole.page_last) == (1, 2)


def test_a_page_begins_a_chunk() -> None:
    text = "This page says something. " * 6
    pieces = chunk(document(*(paragraph(text, page=page) for page in (1, 1, 2, 3))))
    assert [(piece.page_first, piece.page_last) for piece in pieces] == [(1, 1), (2, 3)]


def test_code_up_to_twice_the_budget_is_whole_and_then_cut_at_blank_lines() -> None:
    function = "\n".join(f"    x[{n}] = compute. now(n)  # a. b" for n in range(6))
    code = "\n\n".join(f"def f{n}():\n{function}" for n in range(4))
    part = Part(kind="code", text=code)
    tokens = estimate_tokens(code)
    assert [piece.text for piece in chunk(document(part), max_tokens=tokens // 2 + 1)] == [code]
    pieces = chunk(document(part), max_tokens=tokens // 3)
    assert len(pieces) > 1
    assert all(piece.text.startswith("def f") for piece in pieces)


def test_code_without_blank_lines_is_cut_between_lines_that_keep_their_indentation() -> None:
    code = "\n".join(f"    x[{n}] = compute. now(n)  # a. b" for n in range(40))
    pieces = chunk(document(Part(kind="code", text=code)), max_tokens=50)
    assert len(pieces) > 1
    assert [line for piece in pieces for line in piece.text.splitlines()] == code.splitlines()


def test_a_long_row_is_whole_up_to_twice_the_budget_and_then_cut_between_its_cells() -> None:
    row = "; ".join(f"column {n}: this is. The value {n}" for n in range(12))
    rows = document(Part(kind="paragraph", text=row, row=2), Part(kind="paragraph", text="a: b", row=3))
    assert chunk(rows, max_tokens=estimate_tokens(row) // 2 + 1)[0].text == row
    pieces = chunk(rows, max_tokens=30)
    assert len(pieces) > 2
    assert all(piece.text.startswith(("column", "a: b")) for piece in pieces)


def test_long_code_goes_with_its_heading() -> None:
    code = Part(kind="code", text="x = call(1, 2)\n" * 20 + "end")
    text = paragraph("Something else comes before it. " * 6)
    _, after = chunk(document(text, heading(2, "Example"), code), max_tokens=60)
    assert after.text.startswith("## Example\n\nx = call")
    assert after.headings == ("Example",)


def test_a_part_of_a_file_stands_under_the_headings_before_it() -> None:
    above = Block(kind="heading", text="# Manual", start=-1, end=-1, level=1)
    part = replace(
        document(paragraph("Fill it."), heading(1, "Next"), paragraph("x " * 300)), headings=(above,)
    )
    first, *rest = chunk(part, max_tokens=60)
    assert first.headings == ("Manual",)
    assert first.indexed_text == "Manual\n\nFill it."
    assert {piece.headings for piece in rest} == {("Next",)}


def test_numbered_items_and_chinese_without_spaces() -> None:
    text = "1. Fill it. Then wait.\n2. Boil it. 你好!今天天气好。"
    assert [text[start:end] for start, end in sentences(text)] == [
        "1. Fill it.",
        "Then wait.",
        "2. Boil it.",
        "你好!",
        "今天天气好。",
    ]


def test_a_word_longer_than_the_budget_is_cut_all_the_same() -> None:
    pieces = chunk(document(paragraph("x" * 1000)), max_tokens=50)
    assert "".join(piece.text for piece in pieces) == "x" * 1000


def test_real_markdown_goes_through() -> None:
    text = b"# Guide\n\nIntro.\n\n## Setup\n\n1. Install.\n2. Run.\n\n```python\nprint(1)\n```\n"
    (piece,) = chunk(parse(text, "guide.md", "text/markdown"))
    assert "print(1)" in piece.text


def test_where_links_lead_is_not_indexed() -> None:
    text = "See [the guide](https://x.example/a_(b)?c=1), ![a cat](/cat.png) and call f[0](x)."
    assert indexed("T", text) == "T\n\nSee [the guide], ![a cat] and call f[0](x)."
