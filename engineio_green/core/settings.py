"""Every option of a server, validated once, in seconds and bytes.

Owns names, defaults, accepted forms and the text of each refusal. Must not know who reads the options. Source of the
documented ones: the API of the compatible Python implementation; the others say what they are for.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from engineio_green import json as default_json
from engineio_green.exceptions import SettingError
from engineio_green.packet import JsonModule

TRANSPORTS = ("polling", "websocket")
COOKIE_FORBIDDEN = frozenset(";,\r\n\0")

CookieValue = str | bool | Callable[[], str]
OriginRule = Literal["*"] | frozenset[str] | Callable[..., bool] | None


def _number(name: str, value: Any, *, zero: bool = False) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or value < 0 or (not zero and value == 0):
        raise SettingError(f"{name} must be a {'number >= 0' if zero else 'positive number'}, not {value!r}")
    return value


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SettingError(f"{name} must be an integer >= 1, not {value!r}")
    return value


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
    close_timeout: float = 10
    """Seconds that a closing websocket may take, and that a last polling answer waits for its poll."""
    max_packets_per_payload: int = 10_000
    jsonp: bool = False
    """Answer ``j=`` requests, which browsers send across origins unasked."""


def make_settings(options: Mapping[str, Any]) -> Settings:
    """Check *options* as a user gives them, in any documented form. Raises :class:`SettingError` naming the option."""
    known = {name: value for name, value in options.items() if name in OPTION_NAMES}
    interval = known.get("ping_interval")
    if isinstance(interval, (tuple, list)):
        if len(interval) != 2:
            raise SettingError(f"ping_interval as a tuple is (seconds, grace seconds), not {interval!r}")
        known["ping_interval"], known["ping_grace"] = interval
    for name in ("ping_interval", "ping_timeout", "upgrade_timeout", "close_timeout"):
        _number(name, known.get(name, 1))
    for name in ("ping_grace", "compression_threshold"):
        _number(name, known.get(name, 0), zero=True)
    for name in ("max_http_buffer_size", "max_packets_per_payload"):
        _count(name, known.get(name, 1))
    known["transports"] = _transports(known.get("transports"))
    known["json"] = known.get("json") or default_json
    known["cookie"] = _cookie(known.get("cookie"))
    known["cors_allowed_origins"] = _origins(known.get("cors_allowed_origins"))
    return Settings(**known)


def _transports(value: Any) -> tuple[str, ...]:
    if value is None:
        return TRANSPORTS
    chosen = (value,) if isinstance(value, str) else tuple(value)
    wrong = [name for name in chosen if name not in TRANSPORTS]
    if wrong or not chosen:
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
    if not isinstance(attributes.get("name"), str) or not attributes["name"]:
        raise SettingError("cookie needs a 'name'")
    for key, attribute in attributes.items():
        if COOKIE_FORBIDDEN & set(key) or (isinstance(attribute, str) and COOKIE_FORBIDDEN - {","} & set(attribute)):
            raise SettingError(f"cookie attribute {key!r} holds a character that would end it")
    return types.MappingProxyType(attributes)


def _origins(value: Any) -> OriginRule:
    if value is None:
        return None
    if callable(value):
        return value  # type: ignore[no-any-return]
    if isinstance(value, str):
        return "*" if value == "*" else frozenset((value,))
    origins = frozenset(value)
    return "*" if "*" in origins else origins


# What a user may pass by name; the grace comes in with ping_interval.
OPTION_NAMES = frozenset(field.name for field in fields(Settings)) - {"ping_grace"}
