"""Where a request of ours may go: the URL is somebody's text, and must not make us talk to our own network (server-side request forgery).

Nothing here resolves names. The URL is checked before an attempt, and every address that its name resolves to is checked before the
connection is made to exactly one of those addresses, so a name that resolves differently the second time (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Sequence

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# IANA's special-purpose registry, plus what clouds hide among public addresses. `ipaddress.is_global` alone lets multicast,
# 192.0.0.192 (Oracle's metadata) and 6to4 through in Python 3.11.
_DENIED_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
        "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
        "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",  # Azure's platform services
    )
)  # fmt: skip
# Only global unicast is open; of that, protocol assignments with Teredo, documentation, 6to4 and AS112 are not.
_GLOBAL_V6 = IPv6Network("2000::/3")
_DENIED_V6 = tuple(IPv6Network(n) for n in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"))
# Last 32 bits are an IPv4 address that the packet is for: mapped, and translated by NAT64 (RFC 6052).
_CARRIES_V4 = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))

_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*", re.IGNORECASE)
# `getaddrinfo` reads 2130706433, 0x7f.1 and 0177.0.0.1 as 127.0.0.1: a last label that looks like a number is an address in disguise.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
_DEFAULT_PORTS = {"https": 443, "http": 80}


class Blocked(Rejected):
    """Requests may not go to this URL."""

    code = "blocked_url"


@dataclass(frozen=True, slots=True)
class Policy:
    """What an installation allows beyond public addresses over https."""

    networks: tuple[Network, ...] = ()
    ports: tuple[int, ...] = (443, 8443)
    require_https: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    """A URL in parts.

    Attributes:
        host: as it goes into ``Host`` and SNI, without brackets.
        path: path and query, starts with ``/``.
    """

    scheme: str
    host: str
    port: int
    path: str


def target(url: str, policy: Policy) -> Target:
    """Read the URL strictly.

    Raises:
        Blocked: the message says what is wrong with it.
    """
    if len(url) > 2048 or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise Blocked("the URL must be plain ASCII without spaces and backslashes, at most 2048 characters (host names in punycode)")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise Blocked("the URL cannot be read") from error
    if parts.scheme not in ({"https"} if policy.require_https else {"https", "http"}):
        raise Blocked("the URL must start with https://" if policy.require_https else "the URL must start with https:// or http://")
    if "@" in parts.netloc or parts.fragment:
        raise Blocked("the URL must not hold credentials or a fragment")
    name = f"[{host}]" if ":" in host else host
    # Said again in our words it must be the same text: whatever one parser skips, another may not.
    if port == 0 or not _is_host(host) or parts.netloc.lower() not in {name, f"{name}:{port}"}:
        raise Blocked("the URL needs a host name, or an IP address in its usual form")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(scheme=parts.scheme, host=host.rstrip("."), port=port or _DEFAULT_PORTS[parts.scheme], path=path)


def _is_host(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        name = host.removesuffix(".")
        return _HOST.fullmatch(name) is not None and _NUMBER.fullmatch(name.rpartition(".")[2]) is None
    # A zone (fe80::1%eth0) names one of our own interfaces.
    return "%" not in host


def checked(addresses: Sequence[str], port: int, policy: Policy) -> tuple[Address, ...]:
    """The addresses to connect to, in the resolver's order.

    Raises:
        Blocked: there are none, or even one of them, or the port, is not open.
    """
    found = tuple(dict.fromkeys(ip_address(address) for address in addresses))
    if not found:
        raise Blocked("the host has no address")
    for address in found:
        if _within(address, policy.networks):
            continue
        if not _is_public(address):
            raise Blocked("the host has an address that is not public")
        if port not in policy.ports:
            raise Blocked("the port is not one that requests may use")
    return found


def _within(address: Address, networks: Sequence[Network]) -> bool:
    inner = _unwrapped(address)
    return any(inner in network for network in networks if network.version == inner.version)


def _is_public(address: Address) -> bool:
    inner = _unwrapped(address)
    if not inner.is_global or inner.is_multicast:
        return False
    if isinstance(inner, IPv4Address):
        return not any(inner in network for network in _DENIED_V4)
    return inner in _GLOBAL_V6 and not any(inner in network for network in _DENIED_V6)


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(address, IPv6Address) and any(address in network for network in _CARRIES_V4):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
