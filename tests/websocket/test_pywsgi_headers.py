"""The headers that our reader gives gevent's server are those of its own reader, whatever a client sends."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from email.errors import MessageError
from http.client import HTTPException
from typing import Any

import gevent
import pytest
from gevent import pywsgi, socket
from hypothesis import example, given
from hypothesis import strategies as st

import engineio_green
from engineio_green.websocket.pywsgi_handler import read_headers

NAMES = st.sampled_from(
    [b"Host", b"host", b"Content-Length", b"CONTENT-TYPE", b"X_Y", b"Cookie", b"Connection", b"From ", b"a b", b""]
)
VALUES = st.one_of(
    st.sampled_from(
        [b"", b"1", b" 1 ", b"close", b"a:b", b"\xfc\xe9", b"\x85", b"a\rb", b"\x00", b"\x0b", b"\x1c\x1d", b"=?utf-8?q?=41?="]
    ),
    st.binary(max_size=12),
)
LINES = st.one_of(
    st.tuples(
        NAMES, st.sampled_from([b":", b": ", b":\t", b" :", b""]), VALUES, st.sampled_from([b"\r\n", b"\n", b"\r\r\n"])
    ).map(b"".join),
    st.sampled_from([b" folded\r\n", b"\tfolded\r\n", b"\r\n", b"\n", b"no colon\r\n"]),
)


def outcome(reader: Any, data: bytes) -> Any:
    source = io.BufferedReader(io.BytesIO(data))  # type: ignore[arg-type]
    try:
        headers = reader(source, 0)
    except (HTTPException, MessageError, ValueError) as exc:
        return type(exc)
    looked_up = [headers.get(name, "none") for name in ("host", "Content-length", "transfer-encoding", "connection")]
    found = list(headers.headers), headers.typeheader, headers.getheader("content-length"), headers.status, looked_up
    del headers["content-length"]
    return *found, list(headers.items()), headers.get("content-length"), source.read()


@given(st.lists(LINES, max_size=8), st.sampled_from([b"", b"\r\n", b"\r\nbody: no header\r\n\r\n"]))
@example([b"Host: a\r\n"] * 63, b"\r\nbody")
@example([b"Host: a\r\n"] * 64, b"\r\nbody")
@example([b"Host: a\r\n"] * 99, b"\r\nbody")
@example([b"Host: a\r\n"] * 100, b"\r\nbody")
@example([b"Host: a\r\n"] * 101, b"\r\nbody")
@example([b"Host: " + b"a" * 65_528 + b"\r\n"], b"\r\nbody")
@example([b"Host: " + b"a" * 65_529 + b"\r\n"], b"\r\nbody")
@example([b"Host: a\r\n", b"X: " + b"a" * 70_000 + b"\r\n"], b"\r\nbody")
def test_our_reader_is_as_good_as_the_servers_own(lines: list[bytes], rest: bytes):
    data = b"".join(lines) + rest
    assert outcome(read_headers, data) == outcome(pywsgi.headers_factory, data)


def test_a_line_that_is_not_plain_is_given_up_at_once():
    """One pass over it takes microseconds; to try each blank as the beginning takes seconds, with nobody served."""
    for line in (b"X:" + b" " * 8_000 + b"\0\r\n", b"X:" + b" " * 65_000 + b"\0\r\n", b"a" * 8_000 + b"\r\n"):
        began = time.process_time()
        outcome(read_headers, line + b"\r\n")
        assert time.process_time() - began < 0.1


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    def show(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        shown = {name: value for name, value in environ.items() if name.startswith(("HTTP_", "CONTENT_"))}
        body = json.dumps(shown, sort_keys=True).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    app = engineio_green.WSGIApp(engineio_green.Server(async_mode="gevent"), show)
    server = pywsgi.WSGIServer(("127.0.0.1", 0), app, log=None, error_log=None)
    server.start()
    try:
        yield server.address
    finally:
        server.stop()


def ask(stream: Any, connection: Any, request: bytes) -> tuple[bytes, bytes]:
    connection.sendall(request)
    status, length = stream.readline(), 0
    while (line := stream.readline().lower()) not in (b"\r\n", b""):
        if line.startswith(b"content-length:"):
            length = int(line[15:])
    return status, stream.read(length)


@pytest.mark.parametrize(
    "headers",
    [
        b"Host: a\r\nCookie: a=1\r\nCookie: b=2\r\nX_Bad: 1\r\nAccept: x\r\naccept: y\r\n",
        b"Host: a\r\nX-Folded: one\r\n two\r\n",
        b"Host: a\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n",
        b"Host: a\r\nno colon\r\nX-Behind: 1\r\n",
        b"Host: a\r\nContent-Length: -1\r\n",
        b"X: 1\r\n" * 101,
        b"X: " + b"a" * 70_000 + b"\r\n",
    ],
    ids=["many", "folded", "body", "no-colon", "negative", "too-many", "too-long"],
)
def test_another_application_behind_the_same_connection_sees_no_difference(address: tuple[str, int], headers: bytes):
    request = b"GET /show HTTP/1.1\r\n" + headers + b"\r\n"
    answers = []
    with gevent.Timeout(10):
        for met in (False, True):
            with socket.create_connection(address) as connection, connection.makefile("rb") as stream:
                if met:
                    status, body = ask(stream, connection, b"GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n")
                    assert status.startswith(b"HTTP/1.1 200")
                    assert body.startswith(b"0{")
                answers.append(ask(stream, connection, request))
    assert answers[0] == answers[1]
    assert answers[0][0].startswith(b"HTTP/1.1 ")
