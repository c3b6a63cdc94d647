"""A TLS socket of the server behaves like a plain non-blocking one."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest

from engineio_green.websocket.takeover import TlsSocket


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
