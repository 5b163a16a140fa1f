"""Where a piece of a page stands: the elements around it, and what their names say of it."""

import re
from collections.abc import Mapping
from functools import lru_cache, reduce
from operator import or_
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
# A set of kinds is a number, with a bit for each.
_BITS: Final = {kind: 1 << number for number, kind in enumerate(KINDS)}
_KINDS_OF_NAME: Final[dict[str, int]] = {}
for _kind, _words in _NAMES.items():
    for _word in _words.split():
        _KINDS_OF_NAME[_word] = _KINDS_OF_NAME.get(_word, 0) | _BITS[_kind]
_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# What an element with most of a page's words can be too.
ALWAYS: Final = _BITS["main"] | _BITS["article"] | _BITS["content"]
# Names that say how an element looks, as in Tailwind and Bootstrap: "text-sm", "items-center", "md:hidden".
_STYLING: Final = re.compile(
    r"\S*[:\[\]/]|-?(?:align|bg|block|border|bottom|col|content|flex|float|font|gap|grid|h|items|justify|left|leading"
    r"|m[trblxy]?|max|min|object|order|overflow|p[trblxy]?|position|right|row|self|space|text|top|tracking|w|z)-"
)
# Longer classes and ids say no more.
_NAMES_LENGTH: Final = 400
_INVISIBLE: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


class Place:
    """An element that holds text. `own` is what its names say that it holds, a bit for each of `KINDS`; `key`
    tells its likes."""

    __slots__ = ("depth", "key", "own", "parent")

    def __init__(self, parent: "Place | None", element: HtmlElement) -> None:
        tag: str = element.tag
        attributes = dict(element.items())
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent else 0
        self.own = _kinds(tag, attributes)
        self.key = f"{tag}.{attributes.get('class', '')}"


def _kinds(tag: str, attributes: Mapping[str, str]) -> int:
    if tag in ("body", "html"):
        return 0
    kinds = _BITS[_TAGS[tag]] if tag in _TAGS else 0
    if not attributes:
        return kinds
    for name in f"{attributes.get('class', '')} {attributes.get('id', '')}"[:_NAMES_LENGTH].split():
        kinds |= _named(name)
    if (role := attributes.get("role")) in _ROLES:
        kinds |= _BITS[_ROLES[role]]
    return kinds | _BITS["hidden"] if _is_hidden(attributes) else kinds


def _is_hidden(attributes: Mapping[str, str]) -> bool:
    return (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or bool(_INVISIBLE.search(attributes.get("style", "")))
    )


@lru_cache(maxsize=2**14)
def _named(name: str) -> int:
    if _STYLING.match(name):
        return 0
    words = _WORDS.findall(name)
    return reduce(or_, (_KINDS_OF_NAME.get(word.lower(), 0) for word in words), 0)
