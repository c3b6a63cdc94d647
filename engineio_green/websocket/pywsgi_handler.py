"""What is done in place of gevent.pywsgi's own handler, on a connection that carries Engine.IO: its answers, and its headers.

Owns the knowledge of that handler's inside. Must not know what a response is for. Both are for speed alone, and step aside for
whatever is out of the ordinary.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

from engineio_green.websocket.tls import is_tls

# A field as nearly all are: a token, a colon, and text of one line (RFC 9110, section 5.5), in the bytes of ISO-8859-1. No part
# can match what the next one begins with, so that a line which does not match is given up in the time of one pass.
_PLAIN_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)\r?\n").fullmatch
_ENDS = (b"\r\n", b"\n")
MAX_LINE = 65536  # how much the standard library's parser reads of a line
MAX_PLAIN_LINE = 8192
MAX_PLAIN_FIELDS = 64  # both well below its limits, which it counts in its own way


def handler_of(start_response: Any) -> Any:
    """Return the handler of gevent's server, or ``None`` when it is another's, or something stands between it and us."""
    pywsgi = sys.modules.get("gevent.pywsgi")
    if pywsgi is None or getattr(start_response, "__func__", None) is not pywsgi.WSGIHandler.start_response:
        return None
    return start_response.__self__


def meet(handler: Any) -> bool:
    """Let *handler*, which lives as long as its connection, read its next requests' headers with :func:`read_headers`.

    The standard library's parser, made for mail, is a quarter of the processor time of a long-poll on this server. A handler
    whose class has a reader of its own keeps it. Returns whether this is the first request that we see of the connection.
    """
    if hasattr(handler, "engineio_green_tls"):
        return False
    handler.engineio_green_tls = is_tls(handler.socket)
    if type(handler).MessageClass is sys.modules["gevent.pywsgi"].WSGIHandler.MessageClass:
        handler.MessageClass = read_headers
    return True


def send_all(handler: Any, data: bytes) -> None:
    """Send through the socket of a *handler* that was met. gevent's own way asks the kernel for its buffer's size first."""
    sent = 0
    if not handler.engineio_green_tls:
        try:
            sent = handler.socket._sock.send(data)
        except BlockingIOError:
            pass
    if sent < len(data):
        handler.socket.sendall(data[sent:])


def read_headers(source: Any, *_: Any) -> Any:
    """Return the headers of a request as pywsgi's own reader does, in an object of its class.

    Anything but plain fields in ordinary number is left to that reader, from the first line on.
    """
    lines: list[bytes] = []
    fields: list[tuple[str, str]] = []
    readline = source.readline
    while len(fields) < MAX_PLAIN_FIELDS:
        line = readline(MAX_LINE + 1)
        lines.append(line)
        if line in _ENDS:
            return _plain_headers_class()(fields)
        match = _PLAIN_FIELD(line) if len(line) <= MAX_PLAIN_LINE else None
        if match is None:
            break
        name, value = match.groups()
        fields.append((name.decode("latin-1"), value.lstrip(b" \t").decode("latin-1")))
    return sys.modules["gevent.pywsgi"].headers_factory(_Again(lines, source))


class _Again:
    """A file whose first lines have been read already."""

    def __init__(self, lines: list[bytes], source: Any) -> None:
        self._lines: Iterator[bytes] = iter(lines)
        self._source = source

    def readline(self, limit: int) -> bytes:
        line = next(self._lines, None)
        return bytes(self._source.readline(limit)) if line is None else line


@cache
def _plain_headers_class() -> type:
    """Make the class of headers, once gevent's server is there to derive it from."""

    class PlainHeaders(sys.modules["gevent.pywsgi"].OldMessage):  # type: ignore[misc]  # the library has no types
        """Headers whose values are text, so that a look-up needs none of a mail's decoding."""

        def __init__(self, fields: list[tuple[str, str]]) -> None:
            super().__init__()
            self._headers = fields

        def get(self, name: str, failobj: Any = None) -> Any:
            wanted = name.lower()
            for key, value in self._headers:
                if key.lower() == wanted:
                    return value
            return failobj

    return PlainHeaders
