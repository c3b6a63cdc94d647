"""The measured Socket.IO server: one application, whichever Engine.IO package is below it.

    python socketio_app.py PACKAGE KIND FD

PACKAGE is ``engineio`` (the compatible implementation, as python-socketio imports it) or ``engineio_green``, which then stands
under that name. KIND is ``socketio-`` or ``flask-`` with the web server behind it, and FD is a listening socket inherited from
the benchmark. Both packages run this very file. It must not import anything of the benchmark: the peer runs it in its own
environment.
"""

import sys

from wsgi import ASYNC_MODE, SERVE

PATH = "engine.io"  # what the load asks for


def build_socketio(mode):
    import socketio

    server = socketio.Server(async_mode=mode)

    @server.on("echo")
    def echo(sid, data):
        server.emit("echo", data, to=sid)

    return socketio.WSGIApp(server, socketio_path=PATH)


def build_flask(mode):
    from flask import Flask
    from flask_socketio import SocketIO, emit

    app = Flask(__name__)
    server = SocketIO(app, async_mode=mode, path=PATH)

    @server.on("echo")
    def echo(data):
        emit("echo", data)

    return app


BUILD = {"socketio": build_socketio, "flask": build_flask}


def main():
    package, (layer, kind), fd = sys.argv[1], sys.argv[2].split("-"), int(sys.argv[3])
    sys.modules["geventwebsocket"] = None  # see wsgi.py
    if package == "engineio_green":
        import engineio_green

        engineio_green.install_as_engineio()
    SERVE[kind](BUILD[layer](ASYNC_MODE[kind]), fd)


if __name__ == "__main__":
    main()
