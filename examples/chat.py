"""A chat room on gevent.

    python examples/chat.py
    gunicorn -k gevent -w 1 examples.chat:app
"""

import sys
from pathlib import Path

import engineio_green as engineio
from engineio_green.demo import CLIENT_SCRIPT

STATIC = Path(__file__).parent / "static"

eio = engineio.Server(async_mode="gevent")
app = engineio.WSGIApp(eio, static_files={"/": str(STATIC / "chat.html"), "/engineio.js": str(CLIENT_SCRIPT)})
names = {}  # sid -> name, of those who have joined


def tell_all(message):
    for sid in list(names):
        eio.send(sid, message)


@eio.on("message")
def message(sid, data):
    # JSON from the client arrives as a dict, anything else is not for us.
    match data:
        case {"join": str(name)} if name.strip() and sid not in names:
            names[sid] = name.strip()[:40]
            tell_all({"event": f"{names[sid]} has joined", "present": sorted(names.values())})
        case {"say": str(text)} if text.strip() and sid in names:
            tell_all({"from": names[sid], "text": text.strip()[:2000]})


@eio.on("disconnect")
def disconnect(sid, reason):
    name = names.pop(sid, None)
    if name:
        tell_all({"event": f"{name} has left", "present": sorted(names.values())})


if __name__ == "__main__":
    from gevent import pywsgi

    port = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    print(f"http://127.0.0.1:{port}/", flush=True)
    pywsgi.WSGIServer(("127.0.0.1", port), app, log=None).serve_forever()
