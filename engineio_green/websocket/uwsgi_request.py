"""How uWSGI gives up the connection of a request.

Owns the knowledge of uWSGI's descriptors: the worker has only a number, and at the end of the request it closes what has that
number then. So the connection moves to a number of ours, and a *husk* takes its place: the null device, which swallows what the
server still writes. Must not know what the connection is for. The module ``uwsgi`` exists only inside uWSGI.
"""

from __future__ import annotations

import _socket
import os
import sys
from collections.abc import Mapping
from typing import Any

# The C class, as in takeover.py.
RawSocket = _socket.socket

# Options that make a worker speak TLS itself.
_TLS_OPTIONS = ("https-socket", "https-socket-modifier1", "https-socket-modifier2", "suwsgi-socket")

# Options with which a connection carries more than one request.
_KEEPING_OPTIONS = ("http-keepalive", "http11-socket")

_null: list[int] = []


def is_around(environ: Mapping[str, Any]) -> bool:
    """Tell whether uWSGI made *environ*."""
    return "uwsgi.version" in environ


def is_tls(environ: Mapping[str, Any]) -> bool:
    """Tell whether the worker itself ends TLS on this connection; uWSGI's router and proxies do it before the worker."""
    if environ.get("wsgi.url_scheme") != "https":
        return False
    import uwsgi

    ports = {port for name in _TLS_OPTIONS for port in _ports(uwsgi.opt.get(name))}
    if not ports:
        return False
    with borrow(uwsgi.connection_fd()) as sock:
        address = sock.getsockname()
    return isinstance(address, tuple) and address[1] in ports


def _ports(value: Any) -> set[int]:
    """Return the ports in the addresses of an option: ``b"127.0.0.1:8443,cert.pem,key.pem"``, or a list of such."""
    texts = value if isinstance(value, list) else [value]
    found = set()
    for text in texts:
        address = text.decode("latin-1") if isinstance(text, bytes) else str(text)
        port = address.partition(",")[0].rpartition(":")[2]
        if port.isdigit():
            found.add(int(port))
    return found


def keeps_connections() -> bool:
    """Tell whether a connection may carry more than one request. Otherwise uWSGI closes it unannounced, after any response."""
    import uwsgi

    return any(name in uwsgi.opt for name in _KEEPING_OPTIONS)


class Descriptor:
    """What the server shows of the current request's connection, for the little that is done with it before it is taken."""

    def __init__(self) -> None:
        import uwsgi

        self._descriptor: int = uwsgi.connection_fd()

    def shutdown(self, how: int) -> None:
        with borrow(self._descriptor) as sock:
            sock.shutdown(how)


class borrow:
    """Give a descriptor's socket for a ``with`` block, and leave the descriptor alone."""

    def __init__(self, descriptor: int) -> None:
        self._sock = RawSocket(fileno=descriptor)

    def __enter__(self) -> Any:
        return self._sock

    def __exit__(self, *_: object) -> None:
        self._sock.detach()


def take(husk: int | None = None) -> Any:
    """Take the connection of the current request over. Returns a non-blocking socket. Called in the request's greenlet.

    :param husk: what uWSGI gets instead, when it is not to be the null device.
    """
    import uwsgi

    descriptor = uwsgi.connection_fd()
    ours = os.dup(descriptor)
    _leave_hub(descriptor)
    put_husk(descriptor, husk)
    sock = RawSocket(fileno=ours)
    sock.setblocking(False)
    return sock


def put_husk(descriptor: int, husk: int | None = None) -> None:
    """Put *husk*, or the null device, in a descriptor's place."""
    if husk is None:
        if not _null:
            _null.append(os.open(os.devnull, os.O_RDWR))  # for the life of the process
        husk = _null[0]
    os.dup2(husk, descriptor, inheritable=False)


def _leave_hub(descriptor: int) -> None:
    """Take the connection out of gevent's epoll, where uWSGI has waited for the request.

    libev leaves that to the closing of the descriptor, but the connection lives on under our number: each of its messages
    would wake the loop for the old number, whereupon libev registers all the others anew.
    """
    local = sys.modules.get("gevent._hub_local")
    hub = None if local is None else local.get_hub_if_exists()
    if hub is None or "epoll" not in str(getattr(hub.loop, "backend", "")):
        return
    import gevent.monkey

    epoll = gevent.monkey.get_original("select", "epoll").fromfd(os.dup(hub.loop.fileno()))
    try:
        epoll.unregister(descriptor)
    except OSError:
        pass  # never was there: the request came in one piece
    finally:
        epoll.close()
