"""The compatible Python server as the client's tests want it: echoes, obeys {"cmd": ...}, says where it listens."""

import sys

import engineio
from werkzeug.serving import make_server

interval, timeout = float(sys.argv[1]), float(sys.argv[2])
eio = engineio.Server(async_mode="threading", ping_interval=interval, ping_timeout=timeout)


@eio.on("connect")
def on_connect(sid, environ):
    return "go away" if "reject=1" in environ["QUERY_STRING"] else None


@eio.on("message")
def on_message(sid, data):
    if isinstance(data, dict) and data.get("cmd") == "disconnect":
        for number in range(data.get("n", 0)):
            eio.send(sid, f"{number}:")
        eio.disconnect(sid)
    else:
        eio.send(sid, data)


@eio.on("disconnect")
def on_disconnect(sid, reason):
    print(f"closed {sid} {reason}", flush=True)




server = make_server("127.0.0.1", 0, engineio.WSGIApp(eio), threaded=True)
print(f"listening at http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
