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

from engineio_green.websocket.takeover import eventlet_handler, find_socket, is_tls, take

Headers = list[tuple[str, str]]

_TCP_NODELAY = _socket.TCP_NODELAY
_TCP_CORK: int | None = getattr(_socket, "TCP_CORK", None)


def respond(
    status: str, headers: Headers, body: bytes, environ: Mapping[str, Any], start_response: Any
) -> Iterable[bytes]:
    """Answer a request with a whole response. Returns what a WSGI application returns."""
    last = ("Connection", "close") in headers
    if not last and _write_through_pywsgi(status, headers, body, start_response):
        return ()
    if last:
        end_after_response(start_response)
        if "HTTP_UPGRADE" in environ and _write_and_close(status, headers, body, environ):
            start_response(status, headers)  # for the server's log; what it writes goes nowhere
            return ()
    start_response(status, headers)
    sock = find_socket(environ)
    return [body] if sock is None else OneWrite(body, sock)


def _write_through_pywsgi(status: str, headers: Headers, body: bytes, start_response: Any) -> bool:
    """Write to the socket of gevent's server ourselves, in one send, and leave its handler as if it had.

    It takes an answer apart to check what we have made, formats the date anew and sends twice: a tenth of a long-poll's
    cost. Only where nothing stands between the handler and us, and HTTP/1.1 is spoken. Returns whether it was done.
    """
    pywsgi = sys.modules.get("gevent.pywsgi")
    if pywsgi is None or getattr(start_response, "__func__", None) is not pywsgi.WSGIHandler.start_response:
        return False
    handler = start_response.__self__
    if handler.request_version != "HTTP/1.1":
        return False
    data = _response_bytes(status, headers, body)
    handler.code = int(status[:3])
    handler.status = status.encode()
    handler._orig_status = status
    handler.headers_sent = True
    handler.socket.sendall(data)
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
    handler = eventlet_handler(start_response)
    if handler is not None:
        handler.close_connection = 1
