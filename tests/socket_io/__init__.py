"""The real Socket.IO packages of Python on our engine, and the official JavaScript client (socket.io-client) on the other end.

python-socketio and Flask-SocketIO are used as they come from PyPI: each server here is a fresh process in which `import engineio`
means this package. The client runs in Node against every server, and in Chromium, as the script that the application itself
serves, against some of them. Python starts both ends and compares what each has seen.

    application.py  what the three applications do, and the journal that they keep for the tests
    wsgi_app.py     the application on socketio.Server
    flask_app.py    the application on Flask-SocketIO
    asgi_app.py     the applications on socketio.AsyncServer, with and without a framework around them
    serve.py        starts a web server that has no command line of its own
    servers.py      the table of servers, and one of them in a process of its own
    places.py       on which server, and with the client where, a test runs
    cases.js        what the client does in each test, the same code in Node and in Chromium
    clients.py      runs a case in Node; Chromium is driven by tests/interop
"""
