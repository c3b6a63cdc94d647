"""How a response leaves a WSGI server in one piece and at once.

Owns the knowledge of how servers write. Must not know what the response is for. Most servers write headers and body apart,
and with the usual settings of TCP the second part waits for the acknowledgement of the first, which the peer delays by 40 ms.
"""

from __future__ import annotations

import _socket
import sys
import time
from collections.abc import Iterable, Mapping
from email.utils import formatdate
from typing import Any

from engineio_green.websocket import pywsgi_handler, uwsgi_request
from engineio_green.websocket.takeover import eventlet_handler, find_socket, take
from engineio_green.websocket.tls import is_tls

Headers = list[tuple[str, str]]

_TCP_NODELAY = _socket.TCP_NODELAY
_TCP_CORK: int | None = getattr(_socket, "TCP_CORK", None)
_TCP_USER_TIMEOUT: int | None = getattr(_socket, "TCP_USER_TIMEOUT", None)  # Linux


def respond(
    status: str, headers: Headers, body: bytes, environ: Mapping[str, Any], start_response: Any, patience: float
) -> Iterable[bytes]:
    """Answer a request with a whole response. Returns what a WSGI application returns.

    A peer that takes nothing of it for *patience* seconds loses its connection: the server around us would wait for it without
    end, in a thread that others need.
    """
    last = ("Connection", "close") in headers
    if uwsgi_request.is_around(environ):  # which writes in one piece, and has a socket-timeout
        start_response(status, headers if last or uwsgi_request.keeps_connections() else [*headers, ("Connection", "close")])
        return [body]
    handler = pywsgi_handler.handler_of(start_response)
    sock = find_socket(environ) if handler is None else handler.socket
    if handler is None or pywsgi_handler.meet(handler):
        limit_patience(sock, patience)
    if handler is not None and not last and _write_through_pywsgi(status, headers, body, handler):
        return ()
    if last:
        end_after_response(start_response)
        if "HTTP_UPGRADE" in environ and _write_and_close(status, headers, body, environ):
            start_response(status, _for_wsgiref(headers, start_response))  # for the server's log; it writes to nowhere
            return ()
    start_response(status, _for_wsgiref(headers, start_response))
    return [body] if sock is None else OneWrite(body, sock)


def end_taken(start_response: Any) -> Iterable[bytes]:
    """End the request of a connection that was taken over: what its server says of it goes nowhere but to the log."""
    start_response("101 Switching Protocols", _for_wsgiref([("Connection", "close"), ("Content-Length", "0")], start_response))
    end_after_response(start_response)
    return []


def _for_wsgiref(headers: Headers, start_response: Any) -> Headers:
    """Leave out what the servers on wsgiref, Django's among them, take from no application (PEP 3333, hop-by-hop)."""
    wsgiref = sys.modules.get("wsgiref.handlers")
    if wsgiref is None or not isinstance(getattr(start_response, "__self__", None), wsgiref.BaseHandler):
        return headers
    return [pair for pair in headers if pair[0] != "Connection"]


def limit_patience(sock: Any, seconds: float) -> None:
    """Let the kernel give up a connection whose peer has had a full window for so long."""
    if sock is not None and _TCP_USER_TIMEOUT is not None:
        try:
            sock.setsockopt(_socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, max(int(seconds * 1000), 1))
        except OSError:
            pass  # a Unix socket, or one that is gone


def _write_through_pywsgi(status: str, headers: Headers, body: bytes, handler: Any) -> bool:
    """Write to the socket of gevent's server ourselves, in one send, and leave its handler as if it had.

    It takes an answer apart to check what we have made, formats the date anew and sends twice: a tenth of a long-poll's
    cost. Only where HTTP/1.1 is spoken. Returns whether it was done.
    """
    if handler.request_version != "HTTP/1.1":
        return False
    if handler.close_connection:  # who asked for that may keep the connection for another request all the same, as nginx does
        headers = [*headers, ("Connection", "close")]
    data = _response_bytes(status, headers, body)
    handler.code = int(status[:3])
    handler.status = status.encode()
    handler._orig_status = status
    handler.response_headers = headers  # gunicorn's access log looks at them
    handler.headers_sent = True
    pywsgi_handler.send_all(handler, data)
    handler.response_length = len(body)
    return True


def _write_and_close(status: str, headers: Headers, body: bytes, environ: Mapping[str, Any]) -> bool:
    """Refuse an upgrade on a connection that is ours, and close it. Returns whether it could be had.

    gunicorn's threaded worker would wait for the client to close, for two seconds and in the thread that accepts.
    """
    sock = find_socket(environ)
    if sock is None or is_tls(sock):
        return False
    taken = take(environ)
    if taken is None:
        return False
    try:
        taken.sock.send(_response_bytes(status, headers, body))
    except OSError:
        pass  # the client has gone, or does not read
    taken.sock.close()
    return True


def _response_bytes(status: str, headers: Headers, body: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers), f"Date: {_date()}", "\r\n"]
    return "\r\n".join(lines).encode("latin-1") + body


_dates = (0, "")


def _date() -> str:
    """Return the Date header's value, made once a second."""
    global _dates
    now = int(time.time())
    if _dates[0] != now:
        _dates = (now, formatdate(now, usegmt=True))
    return _dates[1]


class OneWrite:
    """A response body that leaves together with its headers, at once.

    WSGI servers write headers and body apart; without this the second part waits for the acknowledgement of the first,
    which the peer delays by 40 ms. The kernel holds the parts back until the server has asked for more body.
    """

    __slots__ = ("_body", "_sock")

    def __init__(self, body: bytes, sock: Any) -> None:
        self._body: bytes | None = body
        self._sock = sock
        self._set(_TCP_NODELAY, 1)
        if _TCP_CORK is not None:
            self._set(_TCP_CORK, 1)

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> OneWrite:
        return self

    def __next__(self) -> bytes:
        body, self._body = self._body, None
        if body is not None:
            return body
        self.close()
        raise StopIteration

    def close(self) -> None:
        if self._sock is not None and _TCP_CORK is not None:
            self._set(_TCP_CORK, 0)
        self._sock = None

    def _set(self, option: int, value: int) -> None:
        try:
            self._sock.setsockopt(_socket.IPPROTO_TCP, option, value)
        except OSError:
            pass  # a Unix socket, or one that is gone


def end_after_response(start_response: Any) -> None:
    """Make the server close the connection after this response: these do not listen to a ``Connection`` header."""
    force_close = getattr(getattr(start_response, "__self__", None), "force_close", None)
    if force_close is not None:
        force_close()
    django = getattr(getattr(start_response, "__self__", None), "request_handler", None)
    for handler in (eventlet_handler(start_response), django):
        if handler is not None:
            handler.close_connection = True
