"""Raw HTTP/1.1 on one blocking socket, with every byte under the test's control, and a strict reader of responses.

Owns connections, requests as bytes and responses as parsed. Must not know Engine.IO. Rules: RFC 9112.
"""

from __future__ import annotations

import json
import re
import select
import socket
import ssl
import struct
import time
from dataclasses import dataclass, field
from typing import Any

# Shorter than the times after which a server acts by itself (upgrade and close: 10 s), so that none of them hides a message
# that was not sent when it should have been.
TIMEOUT = 5.0
STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5]\d\d) ?([^\r\n]*)\r\n")

Headers = list[tuple[str, str]]


class ConnectionLost(AssertionError):
    """The server ended the connection where the test expected bytes."""


@dataclass
class Response:
    status: int
    reason: str
    headers: Headers
    body: bytes
    version: int = 1
    keep_alive: bool = True
    interim: list[int] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        """The value of a header that may come once at most."""
        found = self.header_values(name)
        assert len(found) <= 1, f"{name} came {len(found)} times: {found}"
        return found[0] if found else None

    def header_values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def tokens(self, name: str) -> set[str]:
        """A comma separated header as lower-case words."""
        return {word.strip().lower() for value in self.header_values(name) for word in value.split(",") if word.strip()}

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "strict")

    def json(self) -> Any:
        return json.loads(self.text)


def encode_request(method: str, target: str, headers: Headers, body: bytes | None, version: str = "HTTP/1.1") -> bytes:
    lines = [f"{method} {target} {version}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None and not {"content-length", "transfer-encoding"} & {name.lower() for name, _ in headers}:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


def encode_chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


class Connection:
    """One TCP (or TLS) connection to the server under test."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None, receive_buffer: int | None = None):
        plain = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        plain.settimeout(TIMEOUT)
        if receive_buffer:
            # Set before connecting, else the window was already announced.
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.connect((host, port))
        self.sock: socket.socket = tls.wrap_socket(plain, server_hostname=host) if tls else plain
        self.authority = f"{host}:{port}"
        self.buffer = bytearray()
        self.reusable = True

    # bytes

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def fill(self, timeout: float = TIMEOUT) -> bool:
        """Read once into the buffer; False at the end of the stream. A reset counts as an error, not as an end."""
        self.sock.settimeout(max(timeout, 0.001))
        try:
            data = self.sock.recv(1 << 18)
        except TimeoutError:
            raise TimeoutError(f"nothing came within {timeout:.3f} s; buffered {bytes(self.buffer[:100])!r}") from None
        self.buffer += data
        return bool(data)

    def take(self, size: int, timeout: float = TIMEOUT) -> bytes:
        deadline = time.monotonic() + timeout
        while len(self.buffer) < size:
            if not self.fill(deadline - time.monotonic()):
                raise ConnectionLost(f"end of stream after {len(self.buffer)} of {size} bytes")
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def take_through(self, mark: bytes, timeout: float = TIMEOUT) -> bytes:
        deadline = time.monotonic() + timeout
        while (at := self.buffer.find(mark)) < 0:
            if not self.fill(deadline - time.monotonic()):
                raise ConnectionLost(f"end of stream before {mark!r}; buffered {bytes(self.buffer[:200])!r}")
        return self.take(at + len(mark))

    def readable(self, timeout: float) -> bool:
        """Whether bytes, or the end of the stream, arrive within `timeout` seconds."""
        if self.buffer:
            return True
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            return True
        return bool(select.select([self.sock], [], [], timeout)[0])

    def at_end(self) -> bool:
        """Whether the server has already closed: what a keep-alive client checks before it sends again."""
        return self.readable(0) and not self.buffer and not self.fill()

    def expect_end(self, timeout: float = TIMEOUT) -> bytes:
        """Read to the end of the stream, which must be a clean one; returns what still came."""
        deadline = time.monotonic() + timeout
        while self.fill(deadline - time.monotonic()):
            pass
        return self.take(len(self.buffer))

    def close(self) -> None:
        self.sock.close()

    def abort(self) -> None:
        """Close with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # HTTP

    def send_request(self, method: str, target: str, headers: Headers | None = None, body: bytes | None = None) -> None:
        all_headers = list(headers or [])
        if not any(name.lower() == "host" for name, _ in all_headers):
            all_headers.insert(0, ("Host", self.authority))
        self.send(encode_request(method, target, all_headers, body))

    def request(
        self, method: str, target: str, headers: Headers | None = None, body: bytes | None = None
    ) -> Response:
        self.send_request(method, target, headers, body)
        return self.read_response(method)

    def read_response(self, method: str = "GET", timeout: float = TIMEOUT) -> Response:
        deadline = time.monotonic() + timeout
        interim = []
        while True:
            response = self._read_head(deadline - time.monotonic())
            if response.status == 101 or response.status >= 200:
                break
            interim.append(response.status)
        response.interim = interim
        if response.status != 101:
            response.body = self._read_body(response, method, deadline)
            self.reusable = response.keep_alive
        return response

    def _read_head(self, timeout: float) -> Response:
        match = STATUS_LINE.fullmatch(self.take_through(b"\r\n", timeout))
        assert match, "malformed status line"
        headers: Headers = []
        while (line := self.take_through(b"\r\n", timeout)) != b"\r\n":
            name, colon, value = line.decode("latin-1").partition(":")
            assert colon, f"malformed header line {line!r}"
            assert re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name), f"malformed header name {name!r}"
            headers.append((name, value.strip()))
        response = Response(int(match[2]), match[3].decode("latin-1"), headers, b"", version=int(match[1]))
        options = response.tokens("Connection")
        response.keep_alive = "close" not in options and (response.version == 1 or "keep-alive" in options)
        return response

    def _read_body(self, response: Response, method: str, deadline: float) -> bytes:
        if method == "HEAD" or response.status in (204, 304):
            return b""
        length = response.header("Content-Length")
        if "chunked" in response.tokens("Transfer-Encoding"):
            assert length is None, "both Content-Length and chunked"
            return self._read_chunks(deadline)
        if length is not None:
            return self.take(int(length), deadline - time.monotonic())
        assert not response.keep_alive, "a body without a length on a connection that stays open"
        return self.expect_end(deadline - time.monotonic())

    def _read_chunks(self, deadline: float) -> bytes:
        parts = []
        while True:
            size = int(self.take_through(b"\r\n", deadline - time.monotonic()).split(b";")[0], 16)
            parts.append(self.take(size, deadline - time.monotonic()))
            assert self.take(2, deadline - time.monotonic()) == b"\r\n"
            if size == 0:
                return b"".join(parts)
