"""Which IP addresses a fetch may reach.

Python's `is_global` alone is not enough: it passes multicast, and older versions pass ranges that are public
no more. So IPv6 is held to the one block that IANA assigns to hosts, and every IPv4 address that an IPv6
address carries is judged as well
(https://www.iana.org/assignments/iana-ipv6-special-registry, https://www.rfc-editor.org/rfc/rfc6890).
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

# Addresses of cloud control planes that are public, or that a permitted private range would let through.
_CONTROL_PLANES = frozenset(
    map(ip_address, ("168.63.129.16", "169.254.169.254", "100.100.100.200", "fd00:ec2::254"))
)

_CLOSED_V4 = tuple(map(IPv4Network, ("192.0.0.0/24", "192.88.99.0/24")))

_GLOBAL_UNICAST = IPv6Network("2000::/3")
# Documentation, and the tunnels Teredo and 6to4, which no web site needs.
_CLOSED_V6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
# NAT64 is how an IPv6-only subnet reaches the IPv4 internet (RFC 6052), so it is open to public IPv4.
_NAT64 = IPv6Network("64:ff9b::/96")
# An ISATAP interface identifier: `0000:5efe` or `0200:5efe`, then an IPv4 address (RFC 5214).
_ISATAP = frozenset((0x0000_5EFE, 0x0200_5EFE))


def parse(text: str) -> Address | None:
    """The address that `text` spells canonically, else `None`: not `0x7f.1`, not `2130706433`."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Whether anyone on the internet may be at `address`, judged with every IPv4 address inside it."""
    if address in _CONTROL_PLANES:
        return False
    if isinstance(address, IPv4Address):
        return (
            address.is_global and not address.is_multicast and not any(address in net for net in _CLOSED_V4)
        )
    return _is_open_v6(address) and all(map(is_public, embedded(address)))


def is_permissible(address: Address) -> bool:
    """Whether an operator may permit `address`: public, private or loopback, never a control plane."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return is_permissible(address.ipv4_mapped)
    if address in _CONTROL_PLANES or address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    return is_public(address) or address.is_private


def embedded(address: IPv6Address) -> Iterator[IPv4Address]:
    """Every IPv4 address that `address` carries: mapped, compatible, NAT64, 6to4, Teredo (both), ISATAP."""
    low = int(address) & 0xFFFF_FFFF
    if address.ipv4_mapped or int(address) >> 32 == 0 or address in _NAT64:
        yield IPv4Address(low)
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo
    if (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP:
        yield IPv4Address(low)


def _is_open_v6(address: IPv6Address) -> bool:
    if address.ipv4_mapped or address in _NAT64:
        return True
    return address in _GLOBAL_UNICAST and address.is_global and not any(address in net for net in _CLOSED_V6)
