"""Whether a page needs a browser to show its text. Reads the HTML as bytes, before anything is parsed."""

import re

# A page with more text than this has shown it already.
_TEXT = 200
_SCRIPT_BYTES = 30_000

_SCRIPT = re.compile(rb"<script\b[^>]*>(.*?)</script\s*>", re.IGNORECASE | re.DOTALL)
_SCRIPT_SOURCE = re.compile(rb"<script\b[^>]*\bsrc\s*=", re.IGNORECASE)
# The empty element that frameworks fill.
_ROOT = re.compile(
    rb"<(?:div|main|section|body)\b[^>]*\bid\s*=\s*[\"']?"
    rb"(?:root|app|main|__next|__nuxt|___gatsby|q-app|svelte|ember-app|application)[\"'\s>][^<]*"
    rb"(?:<!--.*?-->\s*)*</|<app-root\b",
    re.IGNORECASE | re.DOTALL,
)
_NO_SCRIPT = re.compile(rb"<noscript\b[^>]*>(.{0,2000}?)</noscript", re.IGNORECASE | re.DOTALL)


def needs_script(html: bytes, text: str) -> bool:
    """Whether `html`, in which `text` was found, is a shell that scripts fill."""
    if len(text) >= _TEXT or b"<script" not in html.lower():
        return False
    scripts = sum(len(found[1]) for found in _SCRIPT.finditer(html))
    if scripts > _SCRIPT_BYTES or _ROOT.search(html):
        return True
    told = any(b"javascript" in found[1].lower() for found in _NO_SCRIPT.finditer(html))
    return told and (scripts > 0 or _SCRIPT_SOURCE.search(html) is not None)
