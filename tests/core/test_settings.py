"""Every option: its default, each form it takes, and a refusal that names it."""

from __future__ import annotations

import dataclasses
import json

import pytest

import engineio_green.json
from engineio_green.core.settings import OPTION_NAMES, Settings, make_settings
from engineio_green.exceptions import EngineIOError, SettingError

INFINITY, NAN = float("inf"), float("nan")
NOT_POSITIVE = [0, -1, -0.5, NAN, "25", None, True, [], {}]


def allow(origin, environ=None):
    return True


# --- defaults ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("ping_interval", 25),
        ("ping_timeout", 20),
        ("max_http_buffer_size", 1_000_000),
        ("allow_upgrades", True),
        ("http_compression", True),
        ("compression_threshold", 1024),
        ("cookie", None),
        ("cors_allowed_origins", None),
        ("cors_credentials", True),
        ("json", engineio_green.json),
        ("async_handlers", True),
        ("monitor_clients", True),
        ("transports", ("polling", "websocket")),
    ],
)
def test_the_default_is_the_documented_one(name, default):
    assert getattr(make_settings({}), name) == default


def test_the_defaults_beyond_the_documentation_bound_every_wait_and_every_size():
    defaults = make_settings({})
    assert (defaults.upgrade_timeout, defaults.close_timeout) == (10, 10)
    assert defaults.max_packets_per_payload >= 1000
    assert defaults.jsonp is False


def test_settings_can_not_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_settings({}).ping_interval = 1


def test_the_given_options_are_left_as_they_are():
    options = {"ping_interval": (25, 5), "cookie": {"name": "io"}, "transports": ["polling"], "cors_allowed_origins": ["a"]}
    before = {"ping_interval": (25, 5), "cookie": {"name": "io"}, "transports": ["polling"], "cors_allowed_origins": ["a"]}
    make_settings(options)
    assert options == before


def test_later_changes_of_the_given_objects_change_nothing():
    cookie, transports = {"name": "io"}, ["polling"]
    made = make_settings({"cookie": cookie, "transports": transports})
    cookie["path"] = "/elsewhere"
    transports.append("websocket")
    assert dict(made.cookie) == {"name": "io"}
    assert made.transports == ("polling",)


def test_unknown_options_are_not_for_the_settings_to_judge():
    assert make_settings({"ping_intervall": 5, "anything": None}) == make_settings({})


def test_every_setting_is_an_option_but_the_grace_which_comes_with_the_interval():
    assert {field.name for field in dataclasses.fields(Settings)} - OPTION_NAMES == {"ping_grace"}


def test_the_error_is_one_of_the_package_and_a_value_error():
    with pytest.raises(EngineIOError) as caught:
        make_settings({"ping_timeout": 0})
    assert isinstance(caught.value, SettingError)
    assert isinstance(caught.value, ValueError)


# --- seconds ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ping_interval", "ping_timeout", "upgrade_timeout", "close_timeout"])
@pytest.mark.parametrize("value", [0.001, 0.3, 1, 25, 86400.5])
def test_seconds_are_positive_numbers_kept_as_they_are(name, value):
    assert getattr(make_settings({name: value}), name) == value


@pytest.mark.parametrize("name", ["ping_interval", "ping_timeout", "upgrade_timeout", "close_timeout"])
@pytest.mark.parametrize("value", NOT_POSITIVE)
def test_what_is_no_number_of_seconds_is_refused_by_name(name, value):
    with pytest.raises(SettingError, match=name):
        make_settings({name: value})


@pytest.mark.parametrize("name", ["ping_interval", "ping_timeout"])
def test_what_the_client_is_told_in_milliseconds_can_not_be_infinite(name):
    with pytest.raises(SettingError, match=name):
        make_settings({name: INFINITY})


@pytest.mark.parametrize("form", [tuple, list])
@pytest.mark.parametrize(("interval", "grace"), [(25, 5), (0.3, 0), (1, 0.25)])
def test_the_interval_may_come_with_a_grace(form, interval, grace):
    made = make_settings({"ping_interval": form([interval, grace])})
    assert (made.ping_interval, made.ping_grace) == (interval, grace)


@pytest.mark.parametrize(
    "value", [(), (25,), (25, 5, 1), [25], (0, 5), (-1, 5), ("25", 5), (25, -1), (25, "5"), (25, None), (25, NAN), ((25, 5), 5)]
)
def test_a_wrong_pair_of_interval_and_grace_is_refused_by_the_name_that_the_user_wrote(value):
    with pytest.raises(SettingError, match="ping_interval"):
        make_settings({"ping_interval": value})


def test_the_grace_alone_is_no_option():
    assert make_settings({"ping_grace": 5}).ping_grace == 0


# --- sizes and counts -------------------------------------------------------------------------------------------------

COUNTS = ["max_http_buffer_size", "max_packets_per_payload", "max_buffered_bytes", "max_blocked_handlers"]


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [1, 16, 100_000_000])
def test_counts_are_positive_integers(name, value):
    assert getattr(make_settings({name: value}), name) == value


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [0, -1, 1.5, 1e6, NAN, INFINITY, "1000", None, True, []])
def test_what_is_no_count_is_refused_by_name(name, value):
    with pytest.raises(SettingError, match=name):
        make_settings({name: value})


@pytest.mark.parametrize("name", ["max_sessions", "max_sessions_per_address"])
def test_limits_of_sessions_may_be_left_out_but_not_be_zero(name):
    assert getattr(make_settings({name: None}), name) is None
    assert getattr(make_settings({name: 1}), name) == 1
    for wrong in (0, -1, 2.5, "2", True):
        with pytest.raises(SettingError, match=name):
            make_settings({name: wrong})


@pytest.mark.parametrize("value", [0, 1, 1023.5, 10**9])
def test_the_threshold_of_compression_may_be_zero(value):
    assert make_settings({"compression_threshold": value}).compression_threshold == value


@pytest.mark.parametrize("value", [-1, NAN, "1024", None, False, []])
def test_what_is_no_threshold_is_refused_by_name(value):
    with pytest.raises(SettingError, match="compression_threshold"):
        make_settings({"compression_threshold": value})


# --- transports -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "transports"),
    [
        (None, ("polling", "websocket")),
        ("polling", ("polling",)),
        ("websocket", ("websocket",)),
        (["polling"], ("polling",)),
        (["websocket"], ("websocket",)),
        (["polling", "websocket"], ("polling", "websocket")),
        (("websocket", "polling"), ("websocket", "polling")),
    ],
)
def test_transports_come_as_a_string_or_a_list(value, transports):
    assert make_settings({"transports": value}).transports == transports


@pytest.mark.parametrize(
    "value", ["", [], (), "flash", ["flash"], ["polling", "flash"], "Polling", [None], [["polling"]], 5, True]
)
def test_other_transports_are_refused_by_name(value):
    with pytest.raises(SettingError, match="transports"):
        make_settings({"transports": value})


# --- json -------------------------------------------------------------------------------------------------------------


def test_a_json_module_is_taken_as_it_is():
    assert make_settings({"json": json}).json is json
    assert make_settings({"json": None}).json is engineio_green.json


@pytest.mark.parametrize("value", ["json", object(), json.dumps, 5])
def test_what_can_not_dump_and_load_is_no_json_module(value):
    with pytest.raises(SettingError, match="json"):
        make_settings({"json": value})


# --- cookie -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, False])
def test_no_cookie(value):
    assert make_settings({"cookie": value}).cookie is None


def test_a_string_is_the_cookie_s_name_with_attributes_that_are_safe():
    cookie = make_settings({"cookie": "io"}).cookie
    assert cookie["name"] == "io"
    assert {key.lower(): value for key, value in cookie.items()} == {
        "name": "io", "path": "/", "samesite": "Lax", "httponly": True,
    }  # fmt: skip


def test_a_dictionary_is_taken_with_its_callables_and_booleans():
    given = {"name": "io", "Path": "/app", "Max-Age": lambda: "60", "Secure": True, "HttpOnly": False}
    assert dict(make_settings({"cookie": given}).cookie) == given


@pytest.mark.parametrize(
    "value", ["", 5, True, ["io"], {}, {"path": "/"}, {"name": ""}, {"name": None}, {"name": 5}, {"Name": "io"}]
)
def test_a_cookie_needs_a_name(value):
    with pytest.raises(SettingError, match="cookie"):
        make_settings({"cookie": value})


@pytest.mark.parametrize("name", ["a;b", "a\rb", "a\nb", "a\0b", "a=b", "a b", "a,b", 'a"b', "\u00e4"])
def test_a_cookie_s_name_is_a_token(name):
    for form in (name, {"name": name}):
        with pytest.raises(SettingError, match="cookie"):
            make_settings({"cookie": form})


@pytest.mark.parametrize("value", ["/;Secure", "/\r\nSet-Cookie: x=y", "/\n", "/\0"])
def test_an_attribute_can_not_end_the_cookie(value):
    with pytest.raises(SettingError, match="cookie"):
        make_settings({"cookie": {"name": "io", "path": value}})


@pytest.mark.parametrize("key", ["pa;th", "path\r\n", "pa,th", "path\0"])
def test_an_attribute_s_name_can_not_end_the_cookie(key):
    with pytest.raises(SettingError, match="cookie"):
        make_settings({"cookie": {"name": "io", key: "/"}})


def test_a_date_may_hold_a_comma():
    expires = "Wed, 21 Oct 2026 07:28:00 GMT"
    assert make_settings({"cookie": {"name": "io", "Expires": expires}}).cookie["Expires"] == expires


# --- origins ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (None, None),
        ("*", "*"),
        (["*"], "*"),
        (["https://a.example", "*"], "*"),
        ([], frozenset()),
        ((), frozenset()),
        ("https://a.example", frozenset({"https://a.example"})),
        (["https://a.example", "https://b.example"], frozenset({"https://a.example", "https://b.example"})),
        ({"https://a.example"}, frozenset({"https://a.example"})),
    ],
)
def test_origins_come_as_a_string_or_a_list(value, rule):
    assert make_settings({"cors_allowed_origins": value}).cors_allowed_origins == rule


@pytest.mark.parametrize("value", [allow, lambda origin: True, allow.__call__])
def test_origins_may_be_decided_by_a_callable(value):
    assert make_settings({"cors_allowed_origins": value}).cors_allowed_origins is value


@pytest.mark.parametrize("value", [5, True, 1.5, [5], [None], [["https://a.example"]]])
def test_other_origins_are_refused_by_name(value):
    with pytest.raises(SettingError, match="cors_allowed_origins"):
        make_settings({"cors_allowed_origins": value})
