"""A run of text within a block, as plain words and as Markdown side by side."""

import re
from typing import Final

_SPACES: Final = re.compile(r"\s+")
# Text that would be read as a tag, and what at the start of a line would be read as a mark of Markdown.
_TAG: Final = re.compile(r"<(?=[A-Za-z/!?])")
_MARK: Final = re.compile(r"^(?=#{1,6}(?:\s|$)|[-+*](?:\s|$)|>|~~~|```|=+\s*$|-{3,}\s*$)")
_NUMBER: Final = re.compile(r"^(\d{1,9})(?=[.)]\s)")


class Run:
    """Inline text as it is read. `begin` and `wrap` put marks around a part of it."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._marked: list[str] = []
        self._linked: list[str] = []
        self.links = 0  # how many links are open
        self.blank = True

    def write(self, text: str) -> None:
        if self.blank and text.isspace():
            return
        self.blank = False
        text = text.replace("\n", " ")  # in the source a space like others; a line ends at <br>
        self._text.append(text)
        self._marked.append(_TAG.sub(r"\\<", text) if "<" in text else text)
        if self.links:
            self._linked.append(text)

    def write_code(self, text: str) -> None:
        self.blank = False
        text = _SPACES.sub(" ", text)
        code = text.strip()
        self._text.append(text)
        self._marked.append(f"`{code}`" if code and "`" not in code else code)
        if self.links:
            self._linked.append(text)

    def write_image(self, description: str, target: str) -> None:
        self.blank = False
        self._marked.append(f"![{_label(description)}]({_target(target)})")

    def break_line(self) -> bool:
        """Ends the line. False when it has ended already: two breaks part paragraphs."""
        if self._marked and self._marked[-1] == "\n":
            return False
        if self._text:
            self._text.append("\n")
            self._marked.append("\n")
        return True

    def part(self) -> None:
        """Two links or buttons side by side are two words: no space stands between them, style parts them."""
        if self._text and not self._text[-1][-1:].isspace():
            self._text.append(" ")
            self._marked.append(" ")

    def begin(self) -> int:
        return len(self._marked)

    def wrap_link(self, begin: int, target: str) -> None:
        words = self._since(begin).strip()
        self._wrap(begin, "[", f"]({_target(target)})", _label(words) if "](" not in words else words)

    def wrap_emphasis(self, begin: int, mark: str) -> None:
        words = self._since(begin).strip()
        if "*" not in words and "\n" not in words:
            self._wrap(begin, mark, mark, words)

    def take(self) -> tuple[str, str, str]:
        """The run so far, and a new one begins: its text, its Markdown, and its text within links."""
        taken = _tidy("".join(self._text)), _tidy("".join(self._marked)), " ".join(self._linked)
        self._text, self._marked, self._linked = [], [], []
        self.blank = True
        return taken

    def _since(self, begin: int) -> str:
        return "".join(self._marked[begin:])

    def _wrap(self, begin: int, opening: str, closing: str, words: str) -> None:
        """Spaces stay outside of the marks."""
        inner = self._since(begin)
        if words:
            left = inner[: len(inner) - len(inner.lstrip())]
            right = inner[len(inner.rstrip()) :]
            self._marked[begin:] = [f"{left}{opening}{words}{closing}{right}"]


def escape_lines(markdown: str) -> str:
    """The same, with no line that would begin a heading, a list or a quote."""
    return "\n".join(
        _NUMBER.sub(r"\1\\", _MARK.sub(r"\\", line, count=1), count=1) for line in markdown.split("\n")
    )


def _tidy(text: str) -> str:
    if "\n" not in text:
        return " ".join(text.split())
    return "\n".join(line for line in (" ".join(line.split()) for line in text.split("\n")) if line)


def _label(text: str) -> str:
    if text.count("[") == text.count("]"):
        return text
    return text.replace("[", "\\[").replace("]", "\\]")


def _target(url: str) -> str:
    return "%20".join(url.split()).replace("(", "%28").replace(")", "%29")
