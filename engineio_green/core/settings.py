"""Every option of a server, validated once, in seconds and bytes.

Owns names, defaults, accepted forms and the text of each refusal. Must not know who reads the options. Source of the
documented ones: the API of the compatible Python implementation; the others say what they are for.
"""

from __future__ import annotations

import ipaddress
import re
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from engineio_green import json as default_json
from engineio_green.exceptions import SettingError
from engineio_green.packet import JsonModule
from engineio_green.payload import Payload

TRANSPORTS = ("polling", "websocket")
TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_ADDRESSES = (str, ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network)
COOKIE_FORBIDDEN = frozenset(";,\r\n\0")

CookieValue = str | bool | Callable[[], str]
OriginRule = Literal["*"] | frozenset[str] | Callable[..., bool] | None


def check_number(name: str, value: Any, *, zero: bool = False) -> float:
    """Return *value*, a positive number or with *zero* also 0. Raises :class:`SettingError` that names the option."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf")
    if not number or (value == 0 and not zero):
        raise SettingError(f"{name} must be a {'number >= 0' if zero else 'positive number'}, not {value!r}")
    checked: float = value
    return checked


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SettingError(f"{name} must be an integer >= 1, not {value!r}")
    return value


@dataclass(frozen=True, slots=True)
class Deflate:
    """How websocket messages are compressed (RFC 7692). Each client that uses it costs up to about 300 KB."""

    threshold: int = 1024
    """Messages shorter than this many bytes go out as they are."""
    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int | None = None
    client_max_window_bits: int | None = None
    level: int = 6
    mem_level: int = 8


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of one server, checked and in one form each. Immutable, so any thread may read it."""

    ping_interval: float = 25
    ping_grace: float = 0
    """Seconds that the interval told to the client is longer than the real one."""
    ping_timeout: float = 20
    max_http_buffer_size: int = 1_000_000
    allow_upgrades: bool = True
    http_compression: bool = True
    compression_threshold: float = 1024
    cookie: Mapping[str, CookieValue] | None = None
    cors_allowed_origins: OriginRule = None
    """``None``: the same origin; ``'*'``: all; an empty set: no CORS handling; a set; or a callable that decides."""
    cors_credentials: bool = True
    json: JsonModule = default_json
    async_handlers: bool = True
    monitor_clients: bool = True
    transports: tuple[str, ...] = TRANSPORTS
    # Beyond the documented options.
    upgrade_timeout: float = 10
    """Seconds that a websocket has from its handshake to the packet that completes the upgrade."""
    connect_timeout: float = 60
    """Seconds that the connect handler has for its answer; then the client is not let in, whatever it says."""
    close_timeout: float = 10
    """Seconds that a closing websocket may take, and that a last polling answer waits for its poll."""
    max_packets_per_payload: int = 10_000
    jsonp: bool = False
    """Answer ``j=`` requests, which browsers send across origins unasked."""
    allow_request: Callable[[Mapping[str, Any]], Any] | None = None
    """Called with the environ before a session is made: true admits; false refuses (403), a text with this message."""
    bind_session: Callable[[Mapping[str, Any]], Any] | None = None
    """Called with the environ of each request: a session answers only to requests with the value of its handshake."""
    initial_packet: Any = None
    """A message that every client gets right behind the open packet."""
    http_headers: Callable[..., Any] | None = None
    """Called with (sid or ``None``, environ): pairs of response headers to add."""
    max_buffered_bytes: int = 16_000_000
    """What may wait for one client: packets for its next poll, or what its websocket did not take."""
    overflow: Literal["close", "drop", "block"] = "close"
    """What a send beyond ``max_buffered_bytes`` does: end the client, lose the message, or wait."""
    max_blocked_handlers: int = 20
    """Handlers of one client that may be under way at once before it is not read any more."""
    max_sessions: int | None = None
    max_sessions_per_address: int | None = None
    handshake_rate: tuple[int, float] | None = None
    """(count, seconds): as many handshakes of one address in so much time."""
    per_message_deflate: Deflate | None = None
    trusted_proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] | Literal["*"] = ()
    """Whose ``X-Forwarded-*`` headers are believed; the default is this machine."""
    uwsgi_websocket: Literal["raw", "native"] = "raw"
    """Who parses websockets inside uWSGI: this package on the bare connection, or uWSGI's own functions."""


def make_settings(options: Mapping[str, Any]) -> Settings:
    """Check *options* as a user gives them, in any documented form. Raises :class:`SettingError` naming the option."""
    known = {name: value for name, value in options.items() if name in OPTION_NAMES}
    interval = known.get("ping_interval")
    if isinstance(interval, (tuple, list)):
        if len(interval) != 2:
            raise SettingError(f"ping_interval as a tuple is (seconds, grace seconds), not {interval!r}")
        known["ping_interval"], known["ping_grace"] = interval
        check_number("the grace of ping_interval", known["ping_grace"], zero=True)
    for name in ("ping_interval", "ping_timeout", "upgrade_timeout", "connect_timeout", "close_timeout"):
        check_number(name, known.get(name, 1))
    check_number("compression_threshold", known.get("compression_threshold", 0), zero=True)
    for name in ("max_http_buffer_size", "max_packets_per_payload", "max_buffered_bytes", "max_blocked_handlers"):
        _count(name, known.get(name, 1))
    for name in ("max_sessions", "max_sessions_per_address"):
        if known.get(name) is not None:
            _count(name, known[name])
    for name in ("allow_request", "bind_session", "http_headers"):
        if known.get(name) is not None and not callable(known[name]):
            raise SettingError(f"{name} must be a function that takes the environ, not {known[name]!r}")
    if known.get("overflow", "close") not in ("close", "drop", "block"):
        raise SettingError(f"overflow must be 'close', 'drop' or 'block', not {known['overflow']!r}")
    if known.get("uwsgi_websocket", "raw") not in ("raw", "native"):
        raise SettingError(f"uwsgi_websocket must be 'raw' or 'native', not {known['uwsgi_websocket']!r}")
    known.setdefault("max_packets_per_payload", Payload.max_decode_packets)
    known["handshake_rate"] = _rate(known.get("handshake_rate"))
    known["per_message_deflate"] = _deflate(known.get("per_message_deflate"))
    known["trusted_proxies"] = _networks(known.get("trusted_proxies", ("127.0.0.0/8", "::1")))
    known["transports"] = _transports(known.get("transports"))
    known["json"] = default_json if known.get("json") is None else known["json"]
    if not all(callable(getattr(known["json"], name, None)) for name in ("dumps", "loads")):
        raise SettingError(f"json must be a module with dumps and loads, not {known['json']!r}")
    known["cookie"] = _cookie(known.get("cookie"))
    known["cors_allowed_origins"] = _origins(known.get("cors_allowed_origins"))
    return Settings(**known)


def _transports(value: Any) -> tuple[str, ...]:
    if value is None:
        return TRANSPORTS
    chosen = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Iterable) else ()
    if not chosen or any(name not in TRANSPORTS for name in chosen):
        raise SettingError(f"transports must be one or both of 'polling' and 'websocket', not {value!r}")
    return chosen


def _cookie(value: Any) -> types.MappingProxyType[str, CookieValue] | None:
    if value is None or value is False:
        return None
    attributes: dict[str, CookieValue]
    if isinstance(value, str):
        attributes = {"name": value, "path": "/", "SameSite": "Lax", "HttpOnly": True}
    elif isinstance(value, Mapping):
        attributes = dict(value)
    else:
        raise SettingError(f"cookie must be a string, a dict with a 'name' or None, not {value!r}")
    if not isinstance(attributes.get("name"), str) or not TOKEN.fullmatch(str(attributes["name"])):
        raise SettingError(f"cookie needs a 'name' of letters, digits and the like, not {attributes.get('name')!r}")
    for key, attribute in attributes.items():
        if COOKIE_FORBIDDEN & set(key) or (isinstance(attribute, str) and COOKIE_FORBIDDEN - {","} & set(attribute)):
            raise SettingError(f"cookie attribute {key!r} holds a character that would end it")
    return types.MappingProxyType(attributes)


def _origins(value: Any) -> OriginRule:
    if value is None:
        return None
    if callable(value):
        rule: Callable[..., bool] = value
        return rule
    if isinstance(value, str):
        return "*" if value == "*" else frozenset((value,))
    if not isinstance(value, Iterable) or not all(isinstance(origin, str) for origin in value):
        raise SettingError(f"cors_allowed_origins must be an origin, a list of origins, '*' or a function, not {value!r}")
    origins = frozenset(value)
    return "*" if "*" in origins else origins


def _rate(value: Any) -> tuple[int, float] | None:
    if value is None:
        return None
    try:
        count, seconds = value
    except (TypeError, ValueError):
        raise SettingError(f"handshake_rate must be (count, seconds), not {value!r}") from None
    return _count("handshake_rate[0]", count), check_number("handshake_rate[1]", seconds)


def _deflate(value: Any) -> Deflate | None:
    if value is None or value is False:
        return None
    if value is True:
        return Deflate()
    if not isinstance(value, Mapping):
        raise SettingError(f"per_message_deflate must be True, False or a dict of its settings, not {value!r}")
    names = [field.name for field in fields(Deflate)]
    unknown = set(value) - set(names)
    if unknown:
        raise SettingError(f"per_message_deflate has no setting {min(unknown)!r}; there are {', '.join(names)}")
    deflate = Deflate(**value)
    for name, least in (("server_max_window_bits", 9), ("client_max_window_bits", 8)):
        bits = getattr(deflate, name)
        if bits is not None and not (isinstance(bits, int) and least <= bits <= 15):
            raise SettingError(f"per_message_deflate[{name!r}] must be {least} to 15, not {bits!r}")
    if deflate.level not in range(-1, 10) or deflate.mem_level not in range(1, 10):
        raise SettingError("per_message_deflate: level must be -1 to 9 and mem_level 1 to 9")
    check_number("per_message_deflate['threshold']", deflate.threshold, zero=True)
    return deflate


def _networks(value: Any) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] | Literal["*"]:
    if value == "*":
        return "*"
    addresses = [value] if isinstance(value, str) else value or ()
    try:
        if isinstance(addresses, (bytes, Mapping)) or not all(isinstance(address, _ADDRESSES) for address in addresses):
            raise TypeError(f"not {value!r}")
        return tuple(ipaddress.ip_network(address) for address in addresses)
    except (TypeError, ValueError) as exc:
        raise SettingError(f"trusted_proxies must be addresses or networks, or '*': {exc}") from None


# What a user may pass by name; the grace comes in with ping_interval.
OPTION_NAMES = frozenset(field.name for field in fields(Settings)) - {"ping_grace"}
