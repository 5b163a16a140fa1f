"""Pages that say with status 200 that they are not there."""

import re

# What an error page says in so few words, an article may say in many.
_WORDS_LENGTH = 600

_TITLE = re.compile(
    r"\b(error\s*)?404\b|\b(page|file|document|content)?\s*not\s+found\b|(does\s?n.t|does not)\s+exist"
    r"|no\s+longer\s+(available|exists)|页面不存在|找不到|页面未找到|頁面不存在|seite nicht gefunden"
    r"|page introuvable|página no encontrada|ページが見つかりません",
    re.IGNORECASE,
)
_HEADING = re.compile(r"^#{1,2} +(.+)$", re.MULTILINE)


def says_not_found(title: str | None, text: str) -> bool:
    """Whether a short page says in its title or first heading that there is no such page."""
    if len(text) > _WORDS_LENGTH:
        return False
    heading = _HEADING.search(text)
    return any(_TITLE.search(said) for said in (title or "", heading[1] if heading else ""))
