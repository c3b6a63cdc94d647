"""The options beyond the documented ones, and the forms that they take."""

from __future__ import annotations

import ipaddress

import pytest

from engineio_green.core.settings import Deflate, make_settings
from engineio_green.exceptions import SettingError

BITS = ["server_max_window_bits", "client_max_window_bits"]


def refused(name, value):
    with pytest.raises(SettingError, match=name):
        make_settings({name: value})


# --- functions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["allow_request", "bind_session", "http_headers"])
def test_hooks_are_functions_or_left_out(name):
    assert getattr(make_settings({name: None}), name) is None
    assert getattr(make_settings({name: repr}), name) is repr
    for wrong in (True, "yes", 5, {}, []):
        refused(name, wrong)


# --- limits -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["close", "drop", "block"])
def test_an_overflow_closes_drops_or_blocks(value):
    assert make_settings({"overflow": value}).overflow == value


@pytest.mark.parametrize("value", ["", "Close", "wait", None, True, 5, ["close"]])
def test_other_overflows_are_refused_by_name(value):
    refused("overflow", value)


def test_the_default_overflow_ends_a_client_that_does_not_read():
    defaults = make_settings({})
    assert defaults.overflow == "close"
    assert defaults.max_buffered_bytes >= defaults.max_http_buffer_size


@pytest.mark.parametrize("value", [(10, 1), [10, 60.5], (1, 0.1)])
def test_a_rate_is_a_count_and_seconds(value):
    assert make_settings({"handshake_rate": value}).handshake_rate == tuple(value)
    assert make_settings({"handshake_rate": None}).handshake_rate is None


@pytest.mark.parametrize(
    "value",
    [5, "10", (), (10,), (10, 1, 1), (0, 1), (10, 0), (1.5, 1), (10, -1), ("10", 1), (10, None), (10, float("inf")), True],
)
def test_other_rates_are_refused_by_name(value):
    refused("handshake_rate", value)


# --- compression of websockets ------------------------------------------------------------------------------------------


def test_compression_is_off_unless_it_is_asked_for():
    for options in ({}, {"per_message_deflate": None}, {"per_message_deflate": False}):
        assert make_settings(options).per_message_deflate is None


def test_compression_comes_with_its_defaults_or_with_settings():
    assert make_settings({"per_message_deflate": True}).per_message_deflate == Deflate()
    assert make_settings({"per_message_deflate": {}}).per_message_deflate == Deflate()
    given = {"threshold": 0, "server_no_context_takeover": True, "server_max_window_bits": 12, "level": 1, "mem_level": 9}
    assert make_settings({"per_message_deflate": given}).per_message_deflate == Deflate(**given)
    assert Deflate().threshold > 100, "never for tiny messages"


@pytest.mark.parametrize("value", [5, "yes", [], [("level", 5)], 1.5])
def test_other_forms_of_compression_are_refused_by_name(value):
    refused("per_message_deflate", value)


@pytest.mark.parametrize("value", [{"treshold": 5}, {"": 1}, {"level": 5, "window": 9}])
def test_a_setting_of_compression_that_does_not_exist_is_refused(value):
    refused("per_message_deflate", value)


@pytest.mark.parametrize("name", BITS)
def test_windows_are_those_that_zlib_can_do(name):
    for bits in (9, 12, 15, None):
        assert getattr(make_settings({"per_message_deflate": {name: bits}}).per_message_deflate, name) == bits
    for bits in (0, 7, 16, -15, 9.5, "12", True):
        refused_inside(name, bits)
    refused_inside("server_max_window_bits", 8)


def refused_inside(name, value):
    with pytest.raises(SettingError, match=f"per_message_deflate.*{name}"):
        make_settings({"per_message_deflate": {name: value}})


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("level", [-2, 10, 5.5, "6", None]),
        ("mem_level", [0, 10, 5.5, "8", None]),
        ("threshold", [-1, float("nan"), "1024", None, True]),
    ],
)
def test_other_settings_of_compression_are_refused_by_name(name, values):
    for value in values:
        refused_inside(name, value)


# --- proxies ------------------------------------------------------------------------------------------------------------


def networks(*texts):
    return {ipaddress.ip_network(text) for text in texts}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("10.0.0.1", ["10.0.0.1/32"]),
        ("10.0.0.0/8", ["10.0.0.0/8"]),
        (["10.0.0.1", "fd00::/8"], ["10.0.0.1/32", "fd00::/8"]),
        (("::1",), ["::1/128"]),
        ([], []),
        (None, []),
        ([ipaddress.ip_network("10.0.0.0/8")], ["10.0.0.0/8"]),
        ([ipaddress.ip_address("10.0.0.1")], ["10.0.0.1/32"]),
    ],
)
def test_proxies_are_addresses_or_networks(value, expected):
    assert set(make_settings({"trusted_proxies": value}).trusted_proxies) == networks(*expected)


def test_the_default_proxies_are_on_this_machine():
    assert set(make_settings({}).trusted_proxies) == networks("127.0.0.0/8", "::1/128")


def test_all_can_be_trusted():
    assert make_settings({"trusted_proxies": "*"}).trusted_proxies == "*"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "localhost",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0",
        "10.0.0.1:80",
        "::1::",
        ["*"],
        [""],
        [None],
        5,
        True,
        [5],
        [True],
        {"a": 1},
        b"::1",
    ],
)
def test_other_proxies_are_refused_by_name(value):
    refused("trusted_proxies", value)


# --- the rest -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["hello", "", b"\x00", {"a": 1}, [1], 0, False])
def test_the_initial_packet_may_be_any_message(value):
    assert make_settings({"initial_packet": value}).initial_packet == value
