"""What may stand between a client and its server: a proxy in this process, whose bytes and faults the test controls.

Owns sockets and threads of its own. Must not know Engine.IO.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

from scenarios.waiting import wait_until

from engineio_green.client.websocket import PatientTlsSocket


class Middleman:
    """Listens on a free port and passes bytes on to *target*.

    :param delay: seconds that every piece of data takes, in each direction.
    :param refuse_websocket: answer upgrades with this status instead of passing them on; 0: take them and say nothing.
    :param tls: talk TLS to clients.
    :param http_proxy: be a forward proxy: CONNECT and absolute addresses; its requests are written down.
    """

    def __init__(
        self,
        target: int,
        *,
        delay: float = 0.0,
        refuse_websocket: int | None = None,
        tls: ssl.SSLContext | None = None,
        http_proxy: bool = False,
    ) -> None:
        self._target = target
        self._delay = delay
        self.refuse_websocket = refuse_websocket
        self._tls = tls
        self._http_proxy = http_proxy
        self.frozen = False
        """Bytes get lost from here on, in both directions, and no connection ends."""
        self.requests: list[bytes] = []
        """The first bytes of every connection, and on plain HTTP those of every request."""
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    @staticmethod
    def _start(target: Callable[..., Any], *arguments: Any) -> None:
        threading.Thread(target=target, args=arguments, name="middleman", daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, sock)

    def _serve(self, sock: Any) -> None:
        self._sockets.append(sock)
        with contextlib.suppress(OSError):
            if self._tls is not None:
                sock = PatientTlsSocket(self._tls.wrap_socket(sock, server_side=True))  # one thread reads, one writes
                self._sockets.append(sock)
            head = sock.recv(65536)
            self.requests.append(head)
            if self._http_proxy and head.startswith(b"CONNECT"):
                _send_all(sock, b"HTTP/1.1 200 Connection established\r\n\r\n")
                head = sock.recv(65536)
            if self.refuse_websocket is not None and b"upgrade: websocket" in head.lower():
                if self.refuse_websocket:
                    _send_all(sock, b"HTTP/1.1 %d No\r\nContent-Length: 2\r\n\r\nno" % self.refuse_websocket)
                    sock.close()
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            self._sockets.append(server)
            self._start(self._pump, server, sock, False)
            self._forward(server, head)
            self._pump(sock, server, True)
        sock.close()

    def _forward(self, to: socket.socket, data: bytes) -> None:
        if self._delay:
            time.sleep(self._delay)
        if self._http_proxy:
            data = data.replace(b" http://127.0.0.1:%d/" % self._target, b" /", 1)
        _send_all(to, data)

    def _pump(self, source: Any, to: socket.socket, note: bool) -> None:
        try:
            while data := source.recv(65536):
                if note and data[:5] in (b"GET /", b"GET h", b"POST "):
                    self.requests.append(data)
                if not self.frozen:
                    self._forward(to, data)
        except OSError:
            pass
        while self.frozen and self._listener.fileno() >= 0:
            select.select([], [], [], 0.05)
        for end in (source, to):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def wait_requests(self, count: int) -> None:
        wait_until(lambda: len(self.requests) >= count, f"{count} requests to pass")

    def cut(self) -> None:
        """End every connection."""
        for sock in list(self._sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Middleman:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # or the thread that is in accept() takes one more
        self._listener.close()
        self.frozen = False
        self.cut()
        for sock in self._sockets:
            sock.close()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"


def _send_all(sock: Any, data: bytes) -> None:
    while data:
        data = data[sock.send(data) :]
