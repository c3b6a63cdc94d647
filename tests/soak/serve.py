"""Run the scenario application on Werkzeug's server, with a drain at SIGTERM: `python -m soak.serve PORT GRACE`.

Owns what an application has to add where no worker of a bigger server drains for it: a few lines, which the documentation shows.
"""

from __future__ import annotations

import signal
import sys
import threading

from scenarios.app import app, eio
from werkzeug.serving import make_server


def serve(port: int, grace: float) -> None:
    server = make_server("127.0.0.1", port, app, threaded=True)

    def end() -> None:
        eio.drain(timeout=grace - 1)
        server.shutdown()

    # In a thread: the handler interrupts the loop that accepts, and clients that poll come back for their last answer.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=end).start())
    server.serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]))
