"""Where requests may go."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from shared.security.guard import Blocked, Policy, Target, checked, target

PUBLIC = Policy()
EMBEDDED = Policy(networks=(ip_network("127.0.0.0/8"),), require_https=False)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://hooks.example.com", Target("https", "hooks.example.com", 443, "/")),
        ("https://hooks.example.com/a/b?c=%20d", Target("https", "hooks.example.com", 443, "/a/b?c=%20d")),
        ("https://hooks.example.com:8443/", Target("https", "hooks.example.com", 8443, "/")),
        ("https://hooks.example.com./", Target("https", "hooks.example.com", 443, "/")),
        ("HTTPS://HOOKS.example.com/", Target("https", "hooks.example.com", 443, "/")),
        ("https://xn--bcher-kva.example/", Target("https", "xn--bcher-kva.example", 443, "/")),
        ("https://93.184.215.14/", Target("https", "93.184.215.14", 443, "/")),
        ("https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]:443/", Target("https", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", 443, "/")),
        ("https://a_b.example.com?x", Target("https", "a_b.example.com", 443, "/?x")),
        # What the path holds is the receiver's business.
        ("https://hooks.example.com/@127.0.0.1/", Target("https", "hooks.example.com", 443, "/@127.0.0.1/")),
    ],
)
def test_a_usual_url_is_read_into_its_parts(url: str, expected: Target) -> None:
    assert target(url, PUBLIC) == expected


@pytest.mark.parametrize(
    "url",
    [
        # Schemes
        "http://hooks.example.com/", "ftp://hooks.example.com/", "file:///etc/passwd", "gopher://127.0.0.1:6379/_FLUSHALL",
        "javascript:alert(1)", "//hooks.example.com/", "hooks.example.com", "", "https:", "https://", "https:///path",
        "https:hooks.example.com",
        # Credentials, and hosts hidden behind them
        "https://user@hooks.example.com/", "https://user:secret@hooks.example.com/", "https://hooks.example.com@127.0.0.1/",
        "https://hooks.example.com:443@127.0.0.1/", "https://hooks.example.com%40127.0.0.1/", "https://@hooks.example.com/",
        # Characters that parsers disagree about
        "https://hooks.example.com\\@127.0.0.1/", "https://127.0.0.1\\.example.com/", "https://hooks.example.com/a b",
        "https://hooks.example.com\t/", "https://hooks.example.com/\r\nHost: internal", "https://hooks.example.com\x00.internal/",
        "https://ⓛocalhost/", "https://127。0。0。1/", "https://bücher.example/", "https://hooks.example.com/#fragment",
        "https://exa mple.com/", "https://-.example.com/", "https://a..b.example.com/", "https://%31%32%37.0.0.1/",
        # Numbers that the resolver reads as an address
        "https://2130706433/", "https://0x7f000001/", "https://017700000001/", "https://127.1/", "https://0x7f.0.0.1/", "https://0177.0.0.1/",
        "https://127.0.0.0x1/", "https://1.2.3.4.5/", "https://127.0.0.01/", "https://0/", "https://0x/", "https://127.0.0.1../",
        # IPv6 forms
        "https://[fe80::1%25eth0]/", "https://[fe80::1%eth0]/", "https://[::1/",
        "https://[v1.a]/", "https://[::1]evil.example/", "https://evil.example[::1]/", "https://[::1]:443:443/",
        "https://[127.0.0.1]/",
        # Ports
        "https://hooks.example.com:99999/", "https://hooks.example.com:abc/", "https://hooks.example.com:-1/", "https://hooks.example.com:0/",
        "https://hooks.example.com:/", "https://hooks.example.com:0443/", "https://hooks.example.com: 443/", "https://hooks.example.com:+443/",
        "https://hooks.example.com/" + "a" * 2048,
    ],
)  # fmt: skip
def test_an_odd_url_is_refused_before_anything_is_resolved(url: str) -> None:
    with pytest.raises(Blocked):
        target(url, PUBLIC)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255", "127.0.0.1", "127.8.8.8",
        "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1",
        "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
        "255.255.255.255", "168.63.129.16",
        "::", "::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:a00:1", "::127.0.0.1", "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::1", "100::1",
        "2001::1", "2001:0:53aa:64c:0:0:80ff:fffe", "2001:10::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::1", "2002:808:808::1",
        "3fff::1", "5f00::1", "fc00::1", "fd00::1", "fd00:ec2::254", "fe80::1", "febf::1", "fec0::1", "ff02::1", "ff0e::1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(Blocked):
        checked([address], 443, PUBLIC)
    with pytest.raises(Blocked):
        checked(["93.184.215.14", address], 443, PUBLIC)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "93.184.215.14", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "2606:4700::1111", "2a00:1450::1",
     "::ffff:93.184.215.14", "64:ff9b::1.1.1.1"],
)  # fmt: skip
def test_a_public_address_may_be_called_on_the_ports_for_callbacks_only(address: str) -> None:
    assert [str(found) for found in checked([address, address], 443, PUBLIC)] == [str(checked([address], 443, PUBLIC)[0])]
    for port in (22, 25, 80, 6379, 9092):
        with pytest.raises(Blocked):
            checked([address], port, PUBLIC)


def test_a_host_without_addresses_is_refused() -> None:
    with pytest.raises(Blocked):
        checked([], 443, PUBLIC)


def test_allowed_networks_open_what_they_name_and_nothing_else() -> None:
    assert target("http://127.0.0.1:9999/x", EMBEDDED).port == 9999
    for inside in ("127.0.0.1", "127.1.2.3", "::ffff:127.0.0.1"):
        assert checked([inside], 9999, EMBEDDED)
    for outside in ("10.0.0.1", "::1", "169.254.169.254"):
        with pytest.raises(Blocked):
            checked(["127.0.0.1", outside], 443, EMBEDDED)
    with pytest.raises(Blocked):
        checked(["93.184.215.14"], 9999, EMBEDDED)
