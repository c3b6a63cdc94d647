"""The synchronous client: for scripts, for tests, and inside programs that gevent or eventlet have patched.

`client.py` is the API, `link.py` one connection with its threads, `http.py` and `websocket.py` the transports. Nothing here
imports `requests` or `websocket` before a client is made.
"""

from engineio_green.client.client import Client

__all__ = ["Client"]
