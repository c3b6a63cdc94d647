"""A TLS socket behaves like a plain non-blocking one, from any thread."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from engineio_green.websocket.tls import TlsSocket


def test_after_the_half_close_nothing_to_read_is_not_the_end(certificate: tuple[Path, Path]):
    """Who takes it for the end closes while the client still sends, and the reset that follows may cost it our close frame."""
    ours, theirs = socket.socketpair()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    clients: list[ssl.SSLSocket] = []
    connecting = threading.Thread(target=lambda: clients.append(trusting.wrap_socket(theirs)))
    connecting.start()
    with context.wrap_socket(ours, server_side=True) as server:
        connecting.join()
        with clients[0] as client:
            sock = TlsSocket(server)
            with pytest.raises(BlockingIOError):
                sock.recv(100)
            client.sendall(b"hello")
            assert sock.recv(100) == b"hello"
            sock.shutdown(socket.SHUT_WR)
            with pytest.raises(BlockingIOError):
                sock.recv(100)
            client.sendall(b"what we do not want any more")
            assert sock.recv(100) != b""


class Watched:
    """Stands for an `ssl.SSLSocket` where it can't be used by two threads: tells whether it ever was."""

    def __init__(self) -> None:
        self.inside = 0
        self.calls = 0
        self.overlapped = False

    def setblocking(self, flag: bool) -> None:
        assert flag is False

    def _compute(self) -> None:
        self.inside += 1
        self.overlapped = self.overlapped or self.inside > 1
        time.sleep(0.001)  # as OpenSSL does: the interpreter is free meanwhile
        self.calls += 1
        self.inside -= 1

    def recv(self, size: int) -> bytes:
        self._compute()
        if self.calls % 2:
            raise ssl.SSLWantReadError
        return b"x"

    def send(self, data: bytes) -> int:
        self._compute()
        return len(data)

    def shutdown(self, how: int) -> None:
        self._compute()

    def close(self) -> None:
        self._compute()


def test_no_two_threads_are_in_the_tls_layer_at_once():
    """OpenSSL forbids it even to one that reads and one that writes; the price is a lost connection now and then."""
    inner = Watched()
    sock = TlsSocket(inner)

    def read() -> None:
        for _ in range(20):
            with contextlib.suppress(BlockingIOError):
                sock.recv(1)

    def write() -> None:
        for _ in range(20):
            sock.send(b"data")

    def end() -> None:
        for _ in range(5):
            sock.shutdown(socket.SHUT_WR)
            sock.close()

    threads = [threading.Thread(target=target) for target in (read, write, end)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inner.calls >= 50
    assert not inner.overlapped
