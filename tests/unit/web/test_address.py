"""Which addresses a fetch may reach."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from shared.web.address import embedded, is_permissible, is_public, parse

CLOSED = [
    # IPv4: this host, loopback, private, shared, link-local with the metadata service, protocol assignments
    "0.0.0.0",
    "0.1.2.3",
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.0.1",
    "192.168.255.254",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "192.0.0.1",
    "192.0.0.8",
    "192.0.0.192",
    # documentation, benchmarking, 6to4 relays, multicast, reserved, broadcast, a control plane
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
    "198.18.0.1",
    "192.88.99.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    # IPv6: unspecified, loopback, link-local with and without zone, unique local, site-local, multicast
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    # documentation, discard, ORCHID, unassigned, segment routing
    "2001:db8::1",
    "3fff::1",
    "100::1",
    "2001:10::1",
    "2001:20::1",
    "4000::1",
    "5f00::1",
    "e000::1",
    # IPv4 inside IPv6: mapped, compatible, translated, NAT64, local NAT64, 6to4, Teredo, ISATAP
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::a9fe:a9fe",
    "64:ff9b:1::8.8.8.8",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2002:808:808::1",
    "2001:0:7f00:1::1",
    "2001:0:808:808:0:0:5601:5601",
    "2606:4700::5efe:10.0.0.1",
    "2606:4700::200:5efe:169.254.169.254",
]

PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "93.184.216.34",
    "172.15.255.255",
    "172.32.0.1",
    "192.167.255.255",
    "223.255.255.254",
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "2a00:1450:4001:82f::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2606:4700::5efe:8.8.8.8",
]

# What inet_aton reads as 127.0.0.1, and what no resolver should answer.
NOT_CANONICAL = [
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
    "127.0.1",
    "0127.0.0.1",
    "127.0.0.1.",
    "127.0.0.1 ",
    "[::1]",
    "localhost",
    "",
]


@pytest.mark.parametrize("text", CLOSED)
def test_closed(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize("text", NOT_CANONICAL)
def test_only_canonical_spellings_are_addresses(text: str) -> None:
    assert parse(text) is None


def test_the_canonical_spelling_is_parsed() -> None:
    assert parse("127.0.0.1") == IPv4Address("127.0.0.1")


@pytest.mark.parametrize(
    "text", ["127.0.0.1", "::1", "10.1.2.3", "192.168.1.1", "fd00::1", "::ffff:10.1.2.3", "8.8.8.8"]
)
def test_an_operator_may_permit_private_hosts(text: str) -> None:
    assert is_permissible(ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "169.254.170.2",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
        "fe80::1",
        "224.0.0.1",
        "0.0.0.0",
        "::",
        "::ffff:0.0.0.0",
        "64:ff9b::a9fe:a9fe",
    ],
)
def test_nobody_may_permit_a_control_plane(text: str) -> None:
    assert not is_permissible(ip_address(text))


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("::ffff:1.2.3.4", ["1.2.3.4"]),
        ("::1.2.3.4", ["1.2.3.4"]),
        ("64:ff9b::1.2.3.4", ["1.2.3.4"]),
        ("2002:102:304::", ["1.2.3.4"]),
        # RFC 4380, 4: the server as it is, the client with every bit flipped.
        ("2001:0:102:304:0:0:fafa:f8f8", ["1.2.3.4", "5.5.7.7"]),
        ("2606:4700::5efe:1.2.3.4", ["1.2.3.4"]),
        ("2606:4700:4700::1111", []),
    ],
)
def test_embedded(text: str, inside: list[str]) -> None:
    assert [str(address) for address in embedded(IPv6Address(text))] == inside
