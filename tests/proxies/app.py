"""The application behind the proxies: echoes, and tells who it is and what it was told about the client.

`python -m proxies.app PORT` serves it on gevent's own server; gunicorn imports `app`. `BACKEND_NAME` is who it is.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import engineio_green

NAME = os.environ["BACKEND_NAME"]
OPTIONS = json.loads(os.environ.get("BACKEND_OPTIONS", "{}"))

# The proxy comes from this very address; clients of the tests that come from others of 127.0.0.0/8 are clients.
eio = engineio_green.Server(
    async_mode=os.environ["BACKEND_MODE"], **{"trusted_proxies": "127.0.0.1", "cookie": "io", **OPTIONS}
)


@eio.on("message")
def message(sid: str, data: Any) -> None:
    if data == "who":
        data = NAME
    elif data == "from where":
        data = next(client["address"] for client in eio.clients() if client["sid"] == sid)
    eio.send(sid, data)


app = engineio_green.WSGIApp(eio)

if __name__ == "__main__":
    from gevent import pywsgi

    pywsgi.WSGIServer(("127.0.0.1", int(sys.argv[1])), app, log=None).serve_forever()
