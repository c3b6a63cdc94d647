"""The opening handshake of a websocket, from a WSGI environ to the bytes of the 101.

Owns the rules of RFC 6455, section 4.2. Must not know what the websocket is for.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

from websockets.utils import accept_key


def find_fault(environ: Mapping[str, Any]) -> str | None:
    """Return what is wrong with an upgrade request, in a few words, or ``None``."""
    # eventlet.wsgi names its own version there, 1.0, whatever the client's is.
    if environ.get("SERVER_PROTOCOL", "HTTP/1.1") != "HTTP/1.1" and "eventlet.input" not in environ:
        return "a websocket needs HTTP/1.1"
    if not environ.get("HTTP_HOST"):
        return "no Host header"
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION") != "13":
        return "Sec-WebSocket-Version is not 13"
    tokens = str(environ.get("HTTP_CONNECTION", ""))[:1000].lower().split(",")
    if "upgrade" not in (token.strip() for token in tokens):
        return "Connection does not say Upgrade"
    key = str(environ.get("HTTP_SEC_WEBSOCKET_KEY", ""))
    try:
        valid = len(key) == 24 and len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        valid = False
    return None if valid else "Sec-WebSocket-Key is not 16 bytes in base64"


def accept_response(environ: Mapping[str, Any], headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """Return the 101 for a request without fault. Raises ``ValueError`` for a header that would end the line."""
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept_key(environ['HTTP_SEC_WEBSOCKET_KEY'])}",
    ]
    for name, value in headers:
        if any(char in name + value for char in "\r\n\0"):
            raise ValueError(f"header {name!r} holds a line break")
        lines.append(f"{name}: {value}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
