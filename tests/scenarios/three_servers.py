"""Three servers in one process: two on gevent, each with a hub of its own in a thread of its own, and one on threads.

A program: `python -m scenarios.three_servers PORT PORT PORT`. What a client of any of them says is passed on to all clients of
all three, from wherever its handler runs.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from gevent.pywsgi import WSGIServer
from werkzeug.serving import run_simple

import engineio_green

MODELS = ("gevent", "gevent", "threading")
servers = [engineio_green.Server(async_mode=model, monitor_clients=False) for model in MODELS]


def pass_on(number: int) -> None:
    def on_message(sid: str, data: Any) -> None:
        for server in servers:
            for receiver in list(server.sockets):
                server.send(receiver, f"{number} {data}")

    servers[number].on("message", on_message)


def serve_gevent(number: int, port: int) -> None:
    WSGIServer(("127.0.0.1", port), engineio_green.WSGIApp(servers[number]), log=None).serve_forever()


def main() -> None:
    ports = [int(port) for port in sys.argv[1:]]
    for number in range(3):
        pass_on(number)
    for number in (0, 1):
        threading.Thread(target=serve_gevent, args=(number, ports[number]), daemon=True).start()
    run_simple("127.0.0.1", ports[2], engineio_green.WSGIApp(servers[2]), threaded=True)


if __name__ == "__main__":
    main()
