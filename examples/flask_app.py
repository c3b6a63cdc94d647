"""Beside Flask, on plain threads: an ordinary route that pushes to every open page.

    python examples/flask_app.py
    flask --app examples/flask_app.py run
    gunicorn -k gthread -w 1 --threads 8 examples.flask_app:app

    curl -d text=hello http://127.0.0.1:5000/notify
"""

import sys
from pathlib import Path

from flask import Flask, request

import engineio_green as engineio
from engineio_green.demo import CLIENT_SCRIPT

STATIC = Path(__file__).parent / "static"

app = Flask(__name__)
eio = engineio.Server(async_mode="threading")
app.wsgi_app = engineio.WSGIApp(
    eio, app.wsgi_app, static_files={"/": str(STATIC / "notify.html"), "/engineio.js": str(CLIENT_SCRIPT)}
)
clients = set()


@eio.on("connect")
def connect(sid, environ):
    clients.add(sid)


@eio.on("disconnect")
def disconnect(sid, reason):
    clients.discard(sid)


@eio.on("message")
def message(sid, data):
    eio.send(sid, data)


@app.post("/notify")
def notify():
    receivers = list(clients)
    for sid in receivers:
        eio.send(sid, request.form["text"])
    return {"told": len(receivers)}


if __name__ == "__main__":
    app.run(port=int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
