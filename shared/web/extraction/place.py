"""Where a piece of a page stands: the elements around it, and what their names say of it."""

import re
from functools import lru_cache
from typing import Final

from lxml.html import HtmlElement

# What elements are called, by what they hold. A name counts when it is a whole word of the class or id:
# "post-nav", "postNav" and "nav" are navigation, "canvas" is not.
_NAMES: Final[dict[str, str]] = {
    "navigation": (
        "nav navbar navbox navigation menu submenu dropdown breadcrumb breadcrumbs megamenu "
        "topbar toolbar tabs catlinks jump skip toc"
    ),
    "footer": "footer foot copyright colophon legal bottom",
    "header": "header masthead banner head top branding logo",
    "aside": "sidebar aside rail secondary widget widgets side column complementary",
    "related": (
        "related recommended recommendation recommendations suggested similar popular trending "
        "more latest recent upsell crosssell crosssells also readnext next prev previous"
    ),
    "comments": "comment comments disqus reply replies respond responses discussion commentlist",
    "social": "share sharing social socials follow twitter facebook like likes vote votes voting",
    "advert": "ad ads advert advertisement adsense promo promotion promotions sponsor sponsored",
    "notice": (
        "cookie cookies consent gdpr popup modal overlay dialog alert lightbox offcanvas drawer toast"
    ),
    "form": (
        "form newsletter subscribe subscription signup login signin search searchform register "
        "cta filter filters facet facets sort sorting quantity cart"
    ),
    "byline": (
        "meta byline author authors date time timestamp published tags tag category categories "
        "posted bio avatar signature user username profile userinfo"
    ),
    "pages": "pagination pager paging pagenav paginator",
    "hidden": "hidden hide invisible sr screenreader visuallyhidden noprint print offscreen",
    "content": (
        "content article articlebody post entry story body main text prose markdown richtext rte "
        "postbody contenttext articlecontent postcontent description desc details documentation "
        "docs"
    ),
    "message": "message messages msg thread topic answer answers question bbwrapper postcontent",
    "card": (
        "card cards tile tiles item items grid teaser slide slider carousel swiper listing result "
        "results product products block"
    ),
    "product": ("product pdp specification specifications specs spec features feature ingredients accordion"),
    "review": "review reviews rating ratings testimonial testimonials",
}
_TAGS: Final[dict[str, str]] = {
    "nav": "navigation",
    "footer": "footer",
    "header": "header",
    "aside": "aside",
    "form": "form",
    "dialog": "notice",
    "main": "main",
    "article": "article",
    "button": "button",
    "label": "form",
    "figcaption": "figure",
    "figure": "figure",
    "address": "byline",
    "time": "byline",
    "blockquote": "quote",
    "details": "details",
    "noscript": "noscript",
}
_ROLES: Final[dict[str, str]] = {
    "navigation": "navigation",
    "banner": "header",
    "contentinfo": "footer",
    "complementary": "aside",
    "search": "form",
    "main": "main",
    "article": "article",
    "dialog": "notice",
    "menu": "navigation",
    "menubar": "navigation",
}
KINDS: Final = tuple(dict.fromkeys((*_NAMES, *_TAGS.values())))
_KIND_OF_NAME: Final[dict[str, list[str]]] = {}
for _kind, _words in _NAMES.items():
    for _word in _words.split():
        _KIND_OF_NAME.setdefault(_word, []).append(_kind)
_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_ALWAYS: Final = frozenset(("main", "article", "content"))
_MOST: Final = 0.6
# Names that say how an element looks, as in Tailwind and Bootstrap: "text-sm", "items-center", "md:hidden".
_STYLING: Final = re.compile(
    r"\S*[:\[\]/]|-?(?:align|bg|block|border|bottom|col|content|flex|float|font|gap|grid|h|items|justify|left|leading"
    r"|m[trblxy]?|max|min|object|order|overflow|p[trblxy]?|position|right|row|self|space|text|top|tracking|w|z)-"
)
_INVISIBLE: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


class Place:
    """An element that holds text. `own` is what its names say that it holds; `key` tells its likes."""

    __slots__ = ("depth", "key", "own", "parent")

    def __init__(self, parent: "Place | None", element: HtmlElement) -> None:
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent else 0
        self.own = _kinds(element)
        self.key: str = f"{element.tag}.{element.get('class', '')}"

    def kinds(self, around: frozenset[str], share: float) -> frozenset[str]:
        """What it is, given what is around it and its share of the page's words.

        An element with most of a page's words is no boilerplate, whatever its name: many sites wrap all in a
        form, or call the body "has-sidebar".
        """
        own = self.own if share <= _MOST else self.own & _ALWAYS
        return around | own if own else around


def _kinds(element: HtmlElement) -> frozenset[str]:
    tag = element.tag
    if tag in ("body", "html"):
        return frozenset()
    kinds = _named(f"{element.get('class', '')} {element.get('id', '')}")
    more = [_TAGS[tag]] if tag in _TAGS else []
    role = element.get("role")
    if role in _ROLES:
        more.append(_ROLES[role])
    style = element.get("style")
    if (
        (style and _INVISIBLE.search(style))
        or element.get("hidden") is not None
        or element.get("aria-hidden") == "true"
    ):
        more.append("hidden")
    return kinds.union(more) if more else kinds


@lru_cache(maxsize=4096)
def _named(names: str) -> frozenset[str]:
    told = " ".join(name for name in names[:400].split() if not _STYLING.match(name))
    words = {word.lower() for word in _WORDS.findall(told)}
    return frozenset(kind for word in words for kind in _KIND_OF_NAME.get(word, ()))
