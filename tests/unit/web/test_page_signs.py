"""What a page says of itself without saying so: that it needs scripts, that it is not there."""

import pytest

from shared.web.scripted import needs_script
from shared.web.soft_errors import says_not_found

TEXT = "A text that was found on the page. " * 10


@pytest.mark.parametrize(
    "html",
    [
        b'<div id="root"></div><script src="/main.js"></script>',
        b"<body><div id=app><!-- here --></div><script src=/a.js></script>",
        b'<main id="__next"> </main><SCRIPT>start()</SCRIPT>',
        b"<app-root></app-root><script src=a.js></script>",
        b"<noscript>Please enable JavaScript.</noscript><div></div><script src=a.js></script>",
        b"<p>Loading</p><script>" + b"x();" * 10_000 + b"</script>",
    ],
)
def test_a_shell_needs_scripts(html: bytes) -> None:
    assert needs_script(html, "Loading")
    assert not needs_script(html, TEXT)


@pytest.mark.parametrize(
    "html",
    [
        b"<p>A short page.</p>",
        b"<p>A short page.</p><script>count()</script>",
        b"<div id=root></div>",
        b"<div id=root><p>A short page.</p></div><script src=a.js></script>",
        b"<noscript><img src=count.gif></noscript><p>A short page.</p><script src=a.js></script>",
    ],
)
def test_a_short_page_needs_none(html: bytes) -> None:
    assert not needs_script(html, "A short page.")


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("404 - Page not found", "Sorry."),
        ("Acme | Error 404", "Home"),
        ("Acme", "# Page Not Found\n\nTry the search."),
        ("页面不存在", "对不起"),
        (None, "## This page does not exist\n\nGo home."),
    ],
)
def test_a_page_that_is_not_there_says_so(title: str | None, text: str) -> None:
    assert says_not_found(title, text)


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("How to write a 404 page not found page", TEXT * 3),
        ("Acme", "The page was not found by our team, but by yours."),
        ("Route 4040", "A road."),
        (None, ""),
    ],
)
def test_a_page_about_that_is_a_page(title: str | None, text: str) -> None:
    assert not says_not_found(title, text)
