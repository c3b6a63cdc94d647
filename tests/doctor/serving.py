"""Servers with something about them, for the doctor to find: `python -m doctor.serving KIND PORT`.

gunicorn imports `app`, an ordinary server. Owns nothing but a few lines for each kind.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import engineio_green

App = Callable[..., Any]


def server(**options: Any) -> App:
    eio = engineio_green.Server(async_mode="threading", ping_interval=1, ping_timeout=2, **options)

    @eio.on("connect")
    def connect(sid: str, environ: dict[str, Any]) -> None:
        if options.get("initial_packet") == "busy":
            eio.start_background_task(talk, eio, sid)

    return engineio_green.WSGIApp(eio)


def talk(eio: engineio_green.Server, sid: str) -> None:
    """Something to say all the time, as long as the client is there."""
    while sid in eio.sockets:
        eio.send(sid, "news")
        eio.sleep(0.05)


def keeping_its_socket(environ: dict[str, Any], start_response: Any) -> Any:
    """A web server that shows its socket to nobody."""
    shown = {name: value for name, value in environ.items() if not name.startswith(("werkzeug.", "gunicorn."))}
    length = int(environ.get("CONTENT_LENGTH") or 0)
    return ordinary({**shown, "wsgi.input": io.BytesIO(environ["wsgi.input"].read(length))}, start_response)


def behind_a_door(environ: dict[str, Any], start_response: Any) -> Any:
    """Lets in who has the key; the rest gets a page."""
    if environ.get("HTTP_X_KEY") == "open sesame":
        return ordinary(environ, start_response)
    start_response("401 Unauthorized", [("Content-Type", "text/html"), ("Content-Length", "0")])
    return []


def page(environ: dict[str, Any], start_response: Any) -> Any:
    """Something that is no Engine.IO server."""
    if environ["PATH_INFO"].startswith("/old"):
        start_response("308 Permanent Redirect", [("Location", "https://new.example/engine.io/"), ("Content-Length", "0")])
        return []
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", "5")])
    return [b"<!DOC"]


def slow_to_answer_polls(environ: dict[str, Any], start_response: Any) -> Any:
    """What is in front of it keeps answers that were long in coming for another while."""
    began = time.monotonic()
    answer = ordinary(environ, start_response)
    if time.monotonic() - began > 0.2:
        time.sleep(1.4)
    return answer


ordinary = server()

KINDS: dict[str, Callable[[], App]] = {
    "ordinary": lambda: ordinary,
    "polling": lambda: server(transports=["polling"]),
    "websocket": lambda: server(transports=["websocket"]),
    "no upgrades": lambda: server(allow_upgrades=False),
    "busy": lambda: server(initial_packet="busy"),
    "limited": lambda: server(handshake_rate=(4, 60)),
    "no socket": lambda: keeping_its_socket,
    "door": lambda: behind_a_door,
    "page": lambda: page,
    "slow": lambda: slow_to_answer_polls,
}

app = ordinary

if __name__ == "__main__":
    from werkzeug.serving import WSGIRequestHandler, run_simple

    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    files = os.environ.get("TLS_FILES")
    chosen = KINDS[sys.argv[1]]()
    run_simple("127.0.0.1", int(sys.argv[2]), chosen, threaded=True, ssl_context=tuple(files.split(",")) if files else None)
