"""Markdown: its blocks by CommonMark's own rules (markdown-it), with GitHub's tables."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from shared.documents.charset import decode
from shared.documents.cleaning import clean, clean_code, clean_line
from shared.documents.document import BlockKind, Content, Part
from shared.documents.markdown_table import cleaned_table

_KINDS: Final[dict[str, BlockKind]] = {
    "paragraph_open": "paragraph",
    "blockquote_open": "paragraph",
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "table_open": "table",
    "fence": "code",
    "code_block": "code",
}
_CLEANED: Final[dict[BlockKind, Callable[[str], str]]] = {"code": clean_code, "table": cleaned_table}
# A header of YAML: lines of "key: value", list items, indented lines, comments.
_FRONT_MATTER: Final = re.compile(r"---\n((?:\w[\w.-]*:(?: .*)?\n|[ \t#-].*\n|\n)*?)(?:---|\.\.\.)(?:\n|$)")
_YAML_TITLE: Final = re.compile(r"^title:[ \t]*(.+)$", re.MULTILINE | re.IGNORECASE)


def read_markdown(data: bytes, media_type: str | None) -> Content:
    """Read Markdown. Headings are written as "## Words" whatever their form; other blocks keep their source.

    Raw HTML becomes Markdown; a YAML header is left out, but for its `title`. Without one, the title is the
    first heading of level 1.
    """
    text = clean_code(decode(data, media_type=media_type))
    header = _FRONT_MATTER.match(text)
    body = text[header.end() :] if header else text
    # Inline marks are not read: nothing needs them but the title, and they cost most of the time.
    tokens = MarkdownIt("commonmark").enable("table").disable("inline").parse(body)
    title = _yaml_title(header[1]) if header else None
    return Content(parts=_parts(tokens, body.split("\n")), title=title or _first_heading(tokens))


def _yaml_title(header: str) -> str | None:
    match = _YAML_TITLE.search(header)
    return clean_line(match[1]).strip("\"'") or None if match else None


def _first_heading(tokens: Sequence[Token]) -> str | None:
    """The words of the first level-1 heading, without Markdown's marks."""
    for number, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h1":
            inline = MarkdownIt("commonmark").parseInline(tokens[number + 1].content)
            return clean_line("".join(child.content or " " for child in inline[0].children or ())) or None
    return None


def _parts(tokens: Sequence[Token], lines: Sequence[str]) -> Iterator[Part]:
    for number, token in enumerate(tokens):
        if token.level > 0 or token.map is None:
            continue
        if token.type == "heading_open":
            level = int(token.tag[1])
            words = clean_line(tokens[number + 1].content)
            if words:
                yield Part(kind="heading", text=f"{'#' * level} {words}", level=level)
        elif token.type == "html_block":
            from shared.documents.html import html_fragment

            yield from html_fragment(token.content)
        elif token.type in _KINDS:
            kind = _KINDS[token.type]
            source = "\n".join(lines[slice(*token.map)])
            yield Part(kind=kind, text=_CLEANED.get(kind, clean)(source))
