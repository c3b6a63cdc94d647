"""A TLS socket with the manners of a plain non-blocking one, for both ends of a websocket.

Owns the rule that no two threads are in one connection's TLS layer at once, not even one that reads and one that writes:
OpenSSL forbids it, and Python's `ssl` lets go of the interpreter lock inside without keeping them apart in every version. What
breaks otherwise is now and then a connection, mostly in its first moments. Must not know who reads, writes or waits.
"""

from __future__ import annotations

import ssl
import threading
from typing import Any


def is_tls(sock: Any) -> bool:
    return isinstance(sock, ssl.SSLSocket) or hasattr(sock, "_sslobj")


class TlsSocket:
    """See the module's text. Any thread may call any method; none of them blocks."""

    __slots__ = ("_lock", "_sock")

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._lock = threading.Lock()  # held for as long as OpenSSL computes, never while anybody waits
        sock.setblocking(False)

    def recv(self, size: int) -> bytes:
        """Read until *size* bytes or nothing more: what stayed in the TLS layer would wake no poller."""
        data = b""
        while len(data) < size:
            try:
                with self._lock:
                    more = self._sock.recv(size - len(data))
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):  # the last: TLS ends with our shutdown
                if data:
                    break
                raise BlockingIOError from None
            except OSError:
                more = b""
            if not more:
                break
            data += more
        return data

    def send(self, data: Any) -> int:
        try:
            with self._lock:
                return int(self._sock.send(data))
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None

    def fileno(self) -> int:
        return int(self._sock.fileno())

    def shutdown(self, how: int) -> None:
        with self._lock:  # with it TLS ends, too
            self._sock.shutdown(how)

    def setsockopt(self, *args: Any) -> None:
        self._sock.setsockopt(*args)

    def close(self) -> None:
        with self._lock:
            self._sock.close()
