"""How each WSGI server gives up its socket, and the bytes that it has already read from it.

Owns the knowledge of servers. Must not know what the socket is for. The server's own socket object stays behind as a
*husk*: it swallows what is written and reads as ended, so that the server finishes the request in its usual way - with an
access log line, and without an exception that a debugger or an error page would show - and touches nothing of ours.
"""

from __future__ import annotations

import _socket
import errno
import io
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

from engineio_green.websocket import uwsgi_request
from engineio_green.websocket.tls import TlsSocket, is_tls

# The C class: monkey patching replaces socket.socket, and it is a third of its size.
RawSocket = _socket.socket


class Taken(NamedTuple):
    """A connection that is ours now: the non-blocking socket, and what the server had read beyond the request.

    An *attached* one still belongs to the server too (its TLS state can't move): the request must not return while it is used.
    """

    sock: Any
    extra: bytes
    attached: bool


class _Husk:
    """What a server's socket does once its descriptor is gone: these methods go into a subclass of its class."""

    def send(self, data: Any, *args: Any) -> int:
        return memoryview(data).nbytes

    def sendall(self, data: Any, *args: Any) -> None:
        return None

    def recv(self, *args: Any) -> bytes:
        return b""

    def recv_into(self, *args: Any) -> int:
        return 0

    def settimeout(self, value: Any) -> None:
        return None

    def setblocking(self, flag: Any) -> None:
        # A server that waits for the next request here, unasked to end (our answer did not reach it as we gave it, because the
        # application is wrapped), must let go: gunicorn's threads would keep their record of the connection for `keepalive`.
        if not flag:
            raise OSError(errno.EBADF, "this connection has been taken over")

    def shutdown(self, how: Any) -> None:
        return None

    def setsockopt(self, *args: Any) -> None:
        return None

    def fileno(self) -> int:
        return _ended_descriptor()


_husk_classes: dict[type, type] = {}
_ended: list[int] = []
_ended_lock = threading.Lock()


def _ended_descriptor() -> int:
    """Return a socket whose peer is gone: for servers that select on the husk before they let go of it."""
    with _ended_lock:
        if not _ended:
            ours, theirs = _socket.socketpair()
            theirs.close()
            _ended.append(ours.detach())  # for the life of the process
    return _ended[0]


def _make_husk(sock: Any) -> None:
    cls = type(sock)
    if cls not in _husk_classes:
        methods = {name: value for name, value in vars(_Husk).items() if callable(value)}
        _husk_classes[cls] = type(f"Detached{cls.__name__.capitalize()}", (cls,), {"__slots__": (), **methods})
    if cls.__dictoffset__:
        for name in vars(sock).keys() & vars(_Husk).keys():
            delattr(sock, name)  # eventlet keeps bound methods of the inner socket there
    sock.__class__ = _husk_classes[cls]


class _AttachedSocket(TlsSocket):
    __slots__ = ()

    def close(self) -> None:
        """Leave the closing to the server, which does it when the request returns."""
        with self._lock:
            _make_husk(self._sock)


def find_socket(environ: Mapping[str, Any]) -> Any:
    """Return the socket object of the server that made *environ*, or ``None`` for a server that does not show it."""
    for key in ("gunicorn.socket", "werkzeug.socket", "gunicorn.sock"):
        if key in environ:
            return environ[key]
    if uwsgi_request.is_around(environ):
        return uwsgi_request.Descriptor()
    source: Any = environ.get("wsgi.input")
    if hasattr(source, "get_socket"):  # eventlet.wsgi
        return source.get_socket()
    return getattr(getattr(_reader(source), "raw", None), "_sock", None)


def _reader(source: Any) -> Any:
    """Return the buffered file that a server reads requests from: pywsgi and eventlet keep it in ``wsgi.input``."""
    for name in ("rfile", "_rfile"):
        if hasattr(source, name):
            return getattr(source, name)
    return getattr(getattr(source, "_read", None), "__self__", source)  # Django's development server


def can_take(environ: Mapping[str, Any]) -> bool:
    """Tell whether :func:`take` will work for a request of this connection."""
    if uwsgi_request.is_around(environ):
        return not uwsgi_request.is_tls(environ)
    return find_socket(environ) is not None


def take(environ: Mapping[str, Any]) -> Taken | None:
    """Take the connection of a request over. Returns ``None`` when the server does not show its socket."""
    if uwsgi_request.is_around(environ):
        return Taken(uwsgi_request.take(), b"", False)
    sock = find_socket(environ)
    if sock is None:
        return None
    source = environ.get("wsgi.input")
    if is_tls(sock):
        return Taken(_AttachedSocket(sock), _read_ahead(source), True)
    family, kind, proto = sock.family, sock.type, sock.proto
    inner = getattr(sock, "fd", sock)  # eventlet keeps the real socket inside its own
    descriptor = inner.detach()
    _make_husk(sock)
    raw = RawSocket(family, kind, proto, descriptor)
    raw.setblocking(False)
    return Taken(raw, _read_ahead(source), False)


def _read_ahead(source: Any) -> bytes:
    """Take what the server's parser has read beyond the request out of its buffer, without touching the socket."""
    unreader = getattr(getattr(source, "reader", None), "unreader", None)
    if unreader is not None:  # gunicorn
        data = bytes(unreader.buf.getvalue())
        unreader.buf = io.BytesIO()
        return data
    reader = _reader(source)
    peek = getattr(reader, "peek", None)
    if peek is None:
        return b""
    try:
        data = bytes(peek())
    except OSError:  # nothing there, says a TLS socket
        return b""
    return bytes(reader.read(len(data))) if data else b""


def http_version(environ: Mapping[str, Any], start_response: Any) -> str:
    """Return the protocol of the request, e.g. ``'HTTP/1.1'``."""
    handler = eventlet_handler(start_response)
    if handler is not None:  # its SERVER_PROTOCOL is the server's own, 1.0, whatever the client's is
        return str(handler.request_version)
    return "HTTP/1.1" if "eventlet.input" in environ else str(environ.get("SERVER_PROTOCOL", "HTTP/1.1"))


def eventlet_handler(start_response: Any) -> Any:
    """Return eventlet's handler of the request, which only its ``start_response`` knows."""
    if getattr(start_response, "__module__", None) != "eventlet.wsgi":
        return None
    cells = [cell.cell_contents for cell in start_response.__closure__ or ()]
    return next((cell for cell in cells if hasattr(cell, "request_version")), None)
