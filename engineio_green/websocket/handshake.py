"""The opening handshake of a websocket, from a WSGI environ to the bytes of the 101.

Owns the rules of RFC 6455, section 4.2. Must not know what the websocket is for.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

from websockets.exceptions import InvalidHandshake
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.headers import build_extension, parse_extension
from websockets.utils import accept_key

# Longer than any browser's offer; what comes after is not worth parsing.
MAX_EXTENSIONS_HEADER = 2000


def find_fault(environ: Mapping[str, Any], version: str) -> str | None:
    """Return what is wrong with an upgrade request of HTTP *version*, in a few words, or ``None``."""
    if version != "HTTP/1.1":
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


def deflate_factory(options: Any) -> ServerPerMessageDeflateFactory:
    """Return what negotiates compression with the attributes of *options* (RFC 7692, section 7.1)."""
    return ServerPerMessageDeflateFactory(
        server_no_context_takeover=options.server_no_context_takeover,
        client_no_context_takeover=options.client_no_context_takeover,
        server_max_window_bits=options.server_max_window_bits,
        client_max_window_bits=options.client_max_window_bits,
        compress_settings={"level": options.level, "memLevel": options.mem_level},
    )


def negotiate_deflate(environ: Mapping[str, Any], factory: ServerPerMessageDeflateFactory) -> tuple[str, Extension] | None:
    """Return the answer to the client's offer of compression, and what does it; ``None`` when it offers none that fits."""
    offer = str(environ.get("HTTP_SEC_WEBSOCKET_EXTENSIONS", ""))
    if not offer or len(offer) > MAX_EXTENSIONS_HEADER:
        return None
    try:
        parsed = parse_extension(offer)
    except InvalidHandshake:
        return None
    for name, parameters in parsed:
        if name == factory.name:
            try:
                accepted, extension = factory.process_request_params(parameters, [])
            except InvalidHandshake:
                continue
            return build_extension([(name, accepted)]), extension
    return None
