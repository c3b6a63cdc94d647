"""Whose address a request has, and whom to believe about it."""

from __future__ import annotations

import pytest

from engineio_green.core.request import client_address

from .making import settings

PROXY = "10.0.0.1"
TRUSTING = {"trusted_proxies": ["10.0.0.0/8"]}


def address(peer, forwarded=None, **options):
    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}
    return client_address({name: value for name, value in environ.items() if value is not None}, settings(**options))


@pytest.mark.parametrize("peer", ["192.0.2.1", "2001:db8::1", "127.0.0.1", ""])
def test_without_proxies_it_is_the_peer_s(peer):
    assert address(peer) == peer


def test_what_a_stranger_says_is_not_believed():
    assert address("192.0.2.1", "198.51.100.7", **TRUSTING) == "192.0.2.1"
    assert address("not an address", "198.51.100.7", **TRUSTING) == "not an address"


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("2001:db8::7", "2001:db8::7"),
        (" 198.51.100.7 ", "198.51.100.7"),
        ("203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("203.0.113.9,198.51.100.7,10.0.0.3, 10.0.0.2", "198.51.100.7"),
        ("10.9.9.9, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
    ],
)
def test_a_trusted_proxy_s_word_counts_up_to_the_first_address_that_is_none(forwarded, expected):
    assert address(PROXY, forwarded, **TRUSTING) == expected


@pytest.mark.parametrize("forwarded", ["", "10.0.0.2", "10.0.0.3, 10.0.0.2"])
def test_a_request_that_only_proxies_have_touched_is_the_peer_s_or_theirs(forwarded):
    assert address(PROXY, forwarded, **TRUSTING).startswith("10.0.0.")


@pytest.mark.parametrize("count", [50, 200, 5000])
def test_a_client_can_not_push_its_own_address_out_of_a_long_header(count):
    """A proxy appends the address that it sees: what counts is at the end, however much a client has put before it."""
    assert address(PROXY, "203.0.113.9, " * count + "198.51.100.7", **TRUSTING) == "198.51.100.7"
    assert address(PROXY, "x" * count * 10 + ", 198.51.100.7", **TRUSTING) == "198.51.100.7"


def test_when_all_are_trusted_the_nearest_proxy_s_word_counts():
    assert address("192.0.2.1", "203.0.113.9, 198.51.100.7", trusted_proxies="*") == "198.51.100.7"


def test_a_peer_behind_a_unix_socket_is_a_proxy():
    assert address("", "198.51.100.7", trusted_proxies=[]) == "198.51.100.7"
    assert address(None, "198.51.100.7", trusted_proxies=[]) == "198.51.100.7"


def test_a_proxy_is_the_same_when_it_comes_by_a_socket_for_both_protocols():
    """A server that listens on ``[::]`` sees IPv4 peers as mapped addresses."""
    assert address("::ffff:10.0.0.1", "198.51.100.7", **TRUSTING) == "198.51.100.7"
    assert address("::ffff:127.0.0.1", "198.51.100.7") == "198.51.100.7"
    assert address("::ffff:192.0.2.1", "198.51.100.7", **TRUSTING) == "::ffff:192.0.2.1"


@pytest.mark.timeout(10)
def test_an_endless_header_costs_little():
    for piece in (",", "a,", "10.0.0.2,", " "):
        for _ in range(20):
            address(PROXY, piece * 60_000, **TRUSTING)
