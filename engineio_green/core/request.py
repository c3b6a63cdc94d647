"""What a request asks for: ``decide()`` turns it into one of a few answers, by one table of rules.

Owns the refusals with their codes, the query parameters and the origin rule. Must not know sockets, WSGI servers or
handlers. Rules: the Engine.IO protocol, revision 4, and the error codes of the JavaScript reference server.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from engineio_green.core.callables import takes
from engineio_green.core.session import OPEN, OPENING, Session
from engineio_green.core.settings import Settings

REFUSALS = {
    0: (400, "Transport unknown"),
    1: (400, "Session ID unknown"),
    2: (400, "Bad handshake method"),
    3: (400, "Bad request"),
    4: (403, "Forbidden"),
    5: (400, "Unsupported protocol version"),
}


@dataclass(slots=True)
class Refusal:
    """A request that is answered with an error: *code* of the protocol, *status* of HTTP, *context* for the application."""

    code: int
    context: dict[str, Any] = field(default_factory=dict)
    status: int = 0
    message: str = ""
    close: Session | None = None
    """The session that this request has ended, if any."""
    body_read: bool = False
    """Whether the request's body has been read to its end."""
    retry_after: int = 0
    """Seconds after which it may be worth another try."""

    def __post_init__(self) -> None:
        status, message = REFUSALS[self.code]
        self.status = self.status or status
        self.message = self.message or message


def bad_request(name: str, close: Session | None = None, status: int = 400, **context: Any) -> Refusal:
    """Return refusal 3; *name* tells the application, and only it, what was wrong."""
    return Refusal(3, {"name": name, **context}, status=status, close=close)


def forbidden(message: str = "") -> Refusal:
    """Return refusal 4, with the application's own message if it has one."""
    return Refusal(4, {"message": message or "Forbidden"}, message=message)


def full(option: str) -> Refusal:
    """Return the refusal of a server that has as many clients as *option* allows."""
    return Refusal(4, {"name": "LIMIT_REACHED", "option": option}, status=503, message="Too many sessions", retry_after=5)


def shutting_down() -> Refusal:
    """Return the refusal of a server that lets nobody in any more; another one may be there in a moment."""
    return Refusal(4, {"name": "DRAINING"}, status=503, message="Server is shutting down", retry_after=2)


@dataclass(slots=True)
class Connect:
    """Open a session on *transport*."""

    transport: str


@dataclass(slots=True)
class Poll:
    session: Session


@dataclass(slots=True)
class Post:
    """Read a body: *length* bytes, or until its end but no more than the limit when ``None`` (chunked)."""

    session: Session
    length: int | None


@dataclass(slots=True)
class Upgrade:
    """Put a websocket of *session* on probation; when *stale*, complete its handshake and close it."""

    session: Session
    stale: bool


@dataclass(slots=True)
class Preflight:
    pass


Decision = Connect | Poll | Post | Upgrade | Preflight | Refusal


class Request:
    """The parts of an HTTP request that matter here. *headers* is looked up with WSGI names (``HTTP_ORIGIN``)."""

    __slots__ = ("eio", "headers", "jsonp", "method", "sid", "transport", "upgrade")

    def __init__(self, headers: Mapping[str, Any]) -> None:
        self.headers = headers
        self.method: str = headers.get("REQUEST_METHOD", "GET")
        query: str = headers.get("QUERY_STRING", "")
        self.eio: str | None = None
        self.transport: str | None = None
        self.sid: str | None = None
        self.jsonp: str | None = None
        for part in query.split("&"):
            name, _, value = part.partition("=")
            if name in _PARAMETERS and getattr(self, _PARAMETERS[name]) is None:
                setattr(self, _PARAMETERS[name], unquote_plus(value) if "%" in value or "+" in value else value)
        self.upgrade = "HTTP_UPGRADE" in headers and headers["HTTP_UPGRADE"].lower() == "websocket"

    @property
    def origin(self) -> str | None:
        origin: str | None = self.headers.get("HTTP_ORIGIN")
        return origin

    def accept_encoding(self) -> str:
        return str(self.headers.get("HTTP_ACCEPT_ENCODING", ""))

    @property
    def secure(self) -> bool:
        return _scheme(self.headers) in ("https", "wss")

    def forwarded_secure(self, settings: Settings) -> bool:
        """Whether the browser came by HTTPS, here or to a trusted proxy."""
        forwarded = str(self.headers.get("HTTP_X_FORWARDED_PROTO", "")).partition(",")[0].strip().lower()
        return self.secure or (forwarded == "https" and from_trusted_proxy(self.headers, settings))


_PARAMETERS = {"EIO": "eio", "transport": "transport", "sid": "sid", "j": "jsonp"}


def decide(request: Request, settings: Settings, sessions: Mapping[str, Session]) -> Decision:
    """Return what *request* asks for. Changes nothing; the caller may call it from any thread."""
    transport = request.transport
    if request.method == "OPTIONS":
        return Preflight() if allowed_origin(request, settings) else bad_request("INVALID_ORIGIN", origin=request.origin)
    if transport is None or transport not in settings.transports:
        return Refusal(0, {"transport": transport})
    if request.eio != "4":
        return Refusal(5, {"protocol": request.eio})
    if request.origin is not None and not allowed_origin(request, settings):
        return bad_request("INVALID_ORIGIN", origin=request.origin)
    if request.jsonp is not None and (transport != "polling" or not settings.jsonp):
        return bad_request("JSONP_DISABLED")
    if request.sid is None:
        return _decide_handshake(request, transport)
    session = sessions.get(request.sid)
    if session is None or session.state == OPENING or session.gone:
        return Refusal(1, {"sid": request.sid})
    return _decide_for_session(request, transport, settings, session)


def _decide_handshake(request: Request, transport: str) -> Decision:
    if request.method != "GET":
        return Refusal(2, {"method": request.method})
    if request.upgrade != (transport == "websocket"):
        return bad_request("TRANSPORT_HANDSHAKE_ERROR")
    return Connect(transport)


def _decide_for_session(request: Request, transport: str, settings: Settings, session: Session) -> Decision:
    method = request.method
    if transport == "websocket":
        if not request.upgrade or method != "GET":
            return bad_request("TRANSPORT_HANDSHAKE_ERROR")
        if not settings.allow_upgrades or "polling" not in settings.transports:
            return bad_request("TRANSPORT_MISMATCH", transport=transport, previousTransport=session.transport)
        return Upgrade(session, stale=session.upgraded or session.upgrading or session.state != OPEN)
    if session.transport != transport or request.upgrade:
        return bad_request("TRANSPORT_MISMATCH", transport=transport, previousTransport=session.transport)
    if method == "GET":
        return Poll(session)
    if method == "POST":
        return _decide_post(request, settings, session)
    return bad_request("METHOD_NOT_ALLOWED", method=method)


def _decide_post(request: Request, settings: Settings, session: Session) -> Decision:
    if session.state != OPEN:
        return Refusal(1, {"sid": session.sid})
    kind = str(request.headers.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()
    if kind == "application/octet-stream" or (kind == "application/x-www-form-urlencoded" and request.jsonp is None):
        return bad_request("CONTENT_TYPE", close=session, content_type=kind)
    length = request.headers.get("CONTENT_LENGTH")
    if not length:
        chunked = "chunked" in str(request.headers.get("HTTP_TRANSFER_ENCODING", "")).lower()
        return Post(session, None if chunked else 0)
    if not (length.isascii() and length.isdigit()):
        return bad_request("CONTENT_LENGTH", close=session, content_length=length)
    length = length.lstrip("0") or "0"
    if len(length) > 18 or int(length) > settings.max_http_buffer_size:
        return bad_request("PAYLOAD_TOO_LARGE", close=session, status=413, limit=settings.max_http_buffer_size)
    return Post(session, int(length))


def _scheme(headers: Mapping[str, Any]) -> str:
    return str(headers.get("wsgi.url_scheme", "http"))


def from_trusted_proxy(headers: Mapping[str, Any], settings: Settings) -> bool:
    """Tell whether the peer of this connection may speak for others. One without an address has come by a Unix socket."""
    trusted = settings.trusted_proxies
    peer = str(headers.get("REMOTE_ADDR") or "")
    if trusted == "*" or not peer:
        return True
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)  # what a server on [::] says of a peer with an IPv4 address
    return any(address in network or (mapped is not None and mapped in network) for network in trusted)


def client_address(headers: Mapping[str, Any], settings: Settings) -> str:
    """Return the address of the client: the last one in X-Forwarded-For that a trusted proxy has seen, or the peer's."""
    forwarded = headers.get("HTTP_X_FORWARDED_FOR")
    if forwarded and from_trusted_proxy(headers, settings):
        for hop in reversed(str(forwarded)[-1000:].split(",")):
            if not from_trusted_proxy({"REMOTE_ADDR": hop.strip() or "-"}, settings) or settings.trusted_proxies == "*":
                return hop.strip()
    return str(headers.get("REMOTE_ADDR") or "")


def own_origin(headers: Mapping[str, Any], settings: Settings) -> str:
    """Return the origin that a page of this very server would send: what a trusted proxy says goes before what it asks."""
    scheme = _scheme(headers).replace("ws", "http")
    host = headers.get("HTTP_HOST") or f"{headers.get('SERVER_NAME', '')}:{headers.get('SERVER_PORT', '')}"
    forwarded_host = headers.get("HTTP_X_FORWARDED_HOST")
    forwarded_scheme = headers.get("HTTP_X_FORWARDED_PROTO")
    if (forwarded_host or forwarded_scheme) and from_trusted_proxy(headers, settings):
        scheme = str(forwarded_scheme or scheme).partition(",")[0].strip()
        host = str(forwarded_host or host).partition(",")[0].strip()
    return _normal_origin(f"{scheme}://{host}")


# Nothing else is an origin: above all no user part, which some parsers take for the host.
_ORIGIN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(\[[0-9A-Fa-f:.]+\]|[^\s/\\?#@:\[\]]+)(?::([0-9]{1,5}))?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def _normal_origin(origin: str) -> str:
    """Lower case, default port left out (RFC 6454, section 6.1). What is no origin stays as it is."""
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        return origin
    scheme, host, port = match[1].lower(), match[2].lower(), match[3]
    return f"{scheme}://{host}" if port is None or port == _DEFAULT_PORTS.get(scheme) else f"{scheme}://{host}:{port}"


def allowed_origin(request: Request, settings: Settings) -> bool:
    """Tell whether the request's origin may talk to this server. No origin header, or ``[]``: no restriction."""
    origin = request.origin
    allowed = settings.cors_allowed_origins
    if origin is None or allowed == frozenset():
        return True
    if any(char in origin for char in "\r\n\0"):
        return False
    if allowed == "*":
        return True
    if allowed is None:
        return _normal_origin(origin) == own_origin(request.headers, settings)
    if callable(allowed):
        return bool(allowed(origin, request.headers) if takes(allowed, 2) else allowed(origin))
    return origin in allowed or _normal_origin(origin) in map(_normal_origin, allowed)


def post_body(body: bytes | None, request: Request) -> bytes | None:
    """Return the payload in the body of a POST: a JSONP client sends it as the field ``d`` of a form."""
    if body is None or request.jsonp is None:
        return body
    try:
        text = body.decode("latin-1")
        fields = parse_qs(text, keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=10)
    except ValueError:
        return None
    payload: str = fields.get("d", [""])[0]
    # Such clients write a line feed as \n, so that no form makes CRLF of it, and a \n of the text as \\n.
    return re.sub(r"(\\)?\\n", lambda match: "\\n" if match[1] else "\n", payload).encode()
