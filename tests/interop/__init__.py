"""Interop: our server in a fresh process, the official JavaScript client (engine.io-client) on the other end.

The client runs twice, in Node and in a real headless Chromium, from one file of cases (`cases.js`). Python starts both
ends, compares what the client saw with what the application on the server saw, and reads the server's log afterwards.

    servers.py    the table of servers, one child process per server and set of options
    app.py        the application that runs in those children; serve.py puts it behind each server
    clients.py    runs a case in Node or in Chromium
    chromium.py   a headless Chromium, spoken to over its DevTools socket
    toolchain.py  finds node, npm and chromium, installs the Node package, says what is missing
"""
