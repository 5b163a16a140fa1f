"""One spelling for each URL, and which belong to one site."""

from urllib.parse import urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from w3lib.url import canonicalize_url

from shared.errors import InvalidRequestError
from shared.web.urls import MAX_LENGTH, host_and_port, normalise, origin, resolve, same_site


@pytest.mark.parametrize(
    ("url", "spelled"),
    [
        ("HTTP://Example.COM:80", "http://example.com/"),
        ("https://example.com:443/a/../b?b=2&a=1#part", "https://example.com/b?a=1&b=2"),
        ("https://example.com:8443/", "https://example.com:8443/"),
        (" http://example.com/a b\n", "http://example.com/a%20b"),
        ("http://example.com./", "http://example.com/"),
        ("http://例え.jp/パス", "http://xn--r8jz45g.jp/%E3%83%91%E3%82%B9"),
        ("http://example.com/%e4%bd%a0", "http://example.com/%E4%BD%A0"),
        ("http://[0:0::1]/", "http://[::1]/"),
        ("http://example.com\\@127.0.0.1/", "http://example.com/@127.0.0.1/"),
        ("http://１２７.0.0.1/", "http://127.0.0.1/"),
    ],
)
def test_normalise(url: str, spelled: str) -> None:
    assert normalise(url) == spelled


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com/",
        "/path",
        "http://",
        "http:///path",
        "http:/example.com",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "javascript:alert(1)",
        "mailto:a@example.com",
        "data:text/html,x",
        "http://user@example.com/",
        "http://user:secret@example.com/",
        "http://exa mple.com/",
        "http://ex%61mple.com/",
        "http://example.com:99999/",
        "http://[::1",
        "http://[fe80::1%25eth0]/",
        "http://example.com/" + "a" * MAX_LENGTH,
    ],
)
def test_what_is_no_url_to_fetch(url: str) -> None:
    with pytest.raises(InvalidRequestError):
        normalise(url)


@given(st.text(max_size=60), st.text(max_size=20), st.sampled_from(["http", "https"]))
def test_a_normalised_url_stays_as_it_is(path: str, query: str, scheme: str) -> None:
    once = normalise(f"{scheme}://example.com/{path}?{query}")
    assert normalise(once) == once
    assert once.isascii()
    assert origin(once) == f"{scheme}://example.com"


PARTS = st.lists(
    st.sampled_from(
        ["/", "//", "/a", "/B.html", "/.", "/..", "/.b", "?", "?q=1", "#", "#part", ";", "%7e", "é", " "]
    )
).map("".join)


@given(st.sampled_from(["example.com", "a-b.example", "1.2.3.4", "A.example", "-a.example"]), PARTS)
def test_what_is_spelled_right_already_is_known_as_w3lib_knows_it(host: str, path: str) -> None:
    url = f"https://{host}/{path}"
    if host.startswith("-"):
        with pytest.raises(InvalidRequestError):
            normalise(url)
    else:
        assert normalise(url) == canonicalize_url(url.strip())


@given(PARTS, st.sampled_from(["http://example.com/a/b?c=d", "https://example.com:8443/"]))
def test_a_link_is_resolved_as_urljoin_does_it(href: str, base: str) -> None:
    assert resolve(base, href) == urljoin(base, href)


@pytest.mark.parametrize(
    ("url", "permitted"),
    [
        ("http://example.com/", "example.com:80"),
        ("https://Example.com/a", "example.com:443"),
        ("http://127.0.0.1:8080/", "127.0.0.1:8080"),
        ("http://[::1]:8080/", "[::1]:8080"),
    ],
)
def test_host_and_port(url: str, permitted: str) -> None:
    assert host_and_port(url) == permitted


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("https://example.com/b", True),
        ("http://example.com/b", True),
        ("https://www.example.com/b", True),
        ("https://blog.example.com/b", False),
        ("https://example.com.evil.test/", False),
        ("https://notexample.com/", False),
        ("https://example.com:8443/", False),
        ("https://example.org/", False),
    ],
)
def test_same_site(other: str, same: bool) -> None:
    assert same_site("https://example.com/a", other) is same
    assert same_site(other, "https://example.com/a") is same
