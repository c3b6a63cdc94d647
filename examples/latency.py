"""Echo, to measure latency with: one application for each concurrency model.

    python examples/latency.py --async-mode gevent
    python examples/latency.py --async-mode threading --port 8000
    gunicorn -k gevent -w 1 examples.latency:app
    ASYNC_MODE=threading gunicorn -k gthread -w 1 --threads 8 examples.latency:app
"""

import argparse
import os
from pathlib import Path

import engineio_green as engineio
from engineio_green.demo import CLIENT_SCRIPT

STATIC = Path(__file__).parent / "static"


def make_app(async_mode=None):
    eio = engineio.Server(async_mode=async_mode)

    @eio.on("message")
    def message(sid, data):
        eio.send(sid, data)

    # In an application of your own take the client from npm (engine.io-client) instead of the demo's.
    files = {"/": str(STATIC / "latency.html"), "/engineio.js": str(CLIENT_SCRIPT)}
    return engineio.WSGIApp(eio, static_files=files)


def serve(app, async_mode, port):
    if async_mode == "gevent":
        from gevent import pywsgi

        pywsgi.WSGIServer(("127.0.0.1", port), app).serve_forever()
    elif async_mode == "eventlet":
        import eventlet.wsgi

        eventlet.wsgi.server(eventlet.listen(("127.0.0.1", port)), app)
    else:
        from werkzeug.serving import run_simple

        run_simple("127.0.0.1", port, app, threaded=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--async-mode", choices=["gevent", "threading", "eventlet"], default="gevent")
    parser.add_argument("--port", type=int, default=5000)
    args = parser.parse_args()
    serve(make_app(args.async_mode), args.async_mode, args.port)
else:
    app = make_app(os.environ.get("ASYNC_MODE"))
