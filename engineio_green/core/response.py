"""Answers as status, headers and body: payloads, refusals, preflights, with CORS, cookie, compression and JSONP.

Owns every response header that this package sends on HTTP. Must not know sockets or WSGI. Rules: Fetch (CORS protocol),
RFC 9110 section 12.5.3 (Accept-Encoding), RFC 6265 (cookies), and the documented options.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from typing import Any, NamedTuple

from engineio_green.core.request import Refusal, Request, allowed_origin
from engineio_green.core.settings import COOKIE_FORBIDDEN, Settings
from engineio_green.packet import Frame
from engineio_green.payload import encode_payload

Headers = list[tuple[str, str]]

STATUS_LINES = {
    400: "400 Bad Request",
    401: "401 Unauthorized",
    403: "403 Forbidden",
    413: "413 Content Too Large",
    503: "503 Service Unavailable",
}

_TEXT = ("Content-Type", "text/plain; charset=UTF-8")
_JSON = ("Content-Type", "application/json")
_SCRIPT = ("Content-Type", "application/javascript; charset=UTF-8")
_EVERYWHERE: Headers = [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]


class Response(NamedTuple):
    """What goes back: *status* as a WSGI status line, e.g. ``'200 OK'``."""

    status: str
    headers: Headers
    body: bytes


def payload_response(frames: list[Frame], request: Request, settings: Settings, extra: Headers | None = None) -> Response:
    """Answer a poll, or a handshake on polling, with *frames*."""
    return _success(encode_payload(frames), request, settings, extra)


def ok_response(request: Request, settings: Settings) -> Response:
    """Answer a POST whose packets have all been taken in."""
    return _success(b"ok", request, settings)


def _success(body: bytes, request: Request, settings: Settings, extra: Headers | None = None) -> Response:
    kind = _TEXT
    if request.jsonp is not None and body != b"ok":
        body, kind = _jsonp(body, request.jsonp), _SCRIPT
    headers = [kind, *_EVERYWHERE]
    if settings.http_compression and len(body) > settings.compression_threshold:
        headers.append(("Vary", "Accept-Encoding"))
        coding = choose_coding(request.accept_encoding())
        if coding:
            body = gzip.compress(body, 6, mtime=0) if coding == "gzip" else zlib.compress(body)
            headers.append(("Content-Encoding", coding))
    if request.origin is not None:
        headers += cors_headers(request, settings)
    if extra:
        headers += extra
    headers.append(("Content-Length", str(len(body))))
    return Response("200 OK", headers, body)


def refusal_response(refusal: Refusal, request: Request, settings: Settings) -> Response:
    """Answer with the refusal's code and message, and nothing that the client sent."""
    body = json.dumps({"code": refusal.code, "message": refusal.message}, separators=(",", ":")).encode()
    response = _failure(refusal.status, body, request, settings, refusal.body_read)
    if refusal.retry_after:
        response.headers.append(("Retry-After", str(refusal.retry_after)))
    return response


def unauthorized_response(value: Any, request: Request, settings: Settings) -> Response:
    """Answer a connection that the application has rejected with *value*."""
    text = json.dumps("Unauthorized" if value is False else value)
    return _failure(401, text.encode(), request, settings)


def _failure(
    status: int, body: bytes, request: Request, settings: Settings, body_read: bool = False
) -> Response:
    headers = [_JSON, *_EVERYWHERE]
    if request.origin is not None:
        headers += cors_headers(request, settings)
    # A body that was refused unread must not be taken for the next request, and an upgrade that failed is over.
    if request.upgrade or (request.method not in ("GET", "OPTIONS") and not body_read):
        headers.append(("Connection", "close"))
    headers.append(("Content-Length", str(len(body))))
    return Response(STATUS_LINES[status], headers, body)


def preflight_response(request: Request, settings: Settings) -> Response:
    headers = [_TEXT, *_EVERYWHERE, *cors_headers(request, settings), ("Content-Length", "0")]
    return Response("200 OK", headers, b"")


def cors_headers(request: Request, settings: Settings) -> Headers:
    """Return what tells a browser that this origin may read the answer; nothing for an origin that may not."""
    if settings.cors_allowed_origins == frozenset() or request.origin is None or not allowed_origin(request, settings):
        return []
    headers = [("Access-Control-Allow-Origin", request.origin), ("Vary", "Origin")]
    if request.method == "OPTIONS":
        headers.append(("Access-Control-Allow-Methods", "OPTIONS, GET, POST"))
        wanted = request.headers.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS")
        if wanted and _HEADER_NAMES.fullmatch(wanted):
            headers.append(("Access-Control-Allow-Headers", wanted))
    if settings.cors_credentials:
        headers.append(("Access-Control-Allow-Credentials", "true"))
    return headers


_HEADER_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,1000}")


def choose_coding(accept: str) -> str | None:
    """Return ``'gzip'``, ``'deflate'`` or ``None`` by the weights of an Accept-Encoding header, gzip first among equals."""
    weights: dict[str, float] = {}
    for part in accept[:1000].lower().split(","):
        name, _, parameter = part.partition(";")
        key, _, value = parameter.partition("=")
        try:
            weight = float(value) if key.strip() == "q" else 1.0
            weights[name.strip()] = weight if 0 <= weight <= 1 else 0.0
        except ValueError:
            weights[name.strip()] = 0.0
    anything = weights.get("*", 0.0)
    gzip_weight, deflate_weight = (weights.get(name, anything) for name in ("gzip", "deflate"))
    if max(gzip_weight, deflate_weight) <= 0 or weights.get("identity", 0.0) > max(gzip_weight, deflate_weight):
        return None
    return "gzip" if gzip_weight >= deflate_weight else "deflate"


def _jsonp(body: bytes, index: str) -> bytes:
    """Wrap a payload in a call of the client's callback. The index keeps its digits only."""
    text = json.dumps(body.decode()).replace("</", "<\\/")  # json.dumps leaves no U+2028 or U+2029: it escapes all non-ASCII
    digits = "".join(char for char in index if char in "0123456789")
    return f"___eio[{digits}]({text});".encode()


def cookie_headers(sid: str, request: Request, settings: Settings) -> Headers:
    """Return the header that gives the session id to the browser, when the ``cookie`` option asks for it."""
    attributes: Any = settings.cookie
    if attributes is None:
        return []
    parts = [f"{attributes['name']}={sid}"]
    for key, value in attributes.items():
        if key == "name":
            continue
        value = value() if callable(value) else value
        if value is True:
            parts.append(key)
        elif value is not False and value is not None:
            if COOKIE_FORBIDDEN - {","} & set(str(value)):
                raise ValueError(f"cookie attribute {key!r} holds a character that would end it")
            parts.append(f"{key}={value}")
    if request.forwarded_secure(settings) and "secure" not in (key.lower() for key in attributes):
        parts.append("Secure")
    return [("Set-Cookie", "; ".join(parts))]
